/* The guided tour: what to do next. The server says which steps have really happened; nothing here pretends. */

import { fill, make } from "./dom.js";

const ELSE = " other persons, other stories, and the Trouble menu.";
const ROOMY = matchMedia("(min-width: 64rem)"); // as in narrow.css: below, the tour is one line until it is opened

/** Draws itself into `parent`. On a phone it is folded to a line. */
export class Tour {
  /**
   * @param {Element} parent
   * @param {import("./store.js").Store} store
   * @param {{draft: function(string), show: function(string, string): boolean}} wiring `draft` puts a line into the message
   *   box; `show` shows a button of a place, and answers whether there is one
   */
  constructor(parent, store, { draft, show }) {
    Object.assign(this, { parent, store, draft, show, version: "", open: ROOMY.matches });
    ROOMY.addEventListener("change", () => {
      this.open = ROOMY.matches;
      this.version = "";
      this.draw();
    });
  }

  draw() {
    const tour = this.store.world?.tour;
    const version = JSON.stringify([tour, this.store.as]);
    if (this.version === version) return;
    this.version = version;
    this.parent.hidden = !tour?.steps.length;
    if (this.parent.hidden) return;
    const at = tour.steps.findIndex((step) => !step.done);
    if (tour.skipped) fill(this.parent, this.changer("resume", "Show the tour"));
    else if (at < 0) fill(this.parent, this.finished());
    else fill(this.parent, this.current(tour.steps, at));
  }

  changer(what, label) {
    const press = () => this.store.change("tour", { tour: what });
    return make("button.quiet", { type: "button", onclick: press }, label);
  }

  current(steps, at) {
    const step = steps[at];
    const dot = (one, place) => make("li", { class: one.done ? "done" : place === at ? "now" : "" });
    const dots = make("ol.dots", { "aria-hidden": "true" }, steps.map(dot));
    const head = make("summary", {}, make("h2", {}, `Tour ${at + 1} of ${steps.length}`), make("strong.brief", {}, step.title), dots);
    const put = { type: "button", title: "Put it into the message box", onclick: () => this.draft(step.line) };
    const line = step.line ? make("button.line", put, make("code", {}, step.line)) : null;
    const copy = step.shell ? make("pre.block.shell", { tabindex: "0" }, step.shell) : null;
    const row = make(".row", {}, this.changer("next", step.shell ? "Finish" : "Skip step"), this.changer("skip", "Skip tour"));
    const words = make("p.step", { role: "status" }, make("strong", {}, step.title), ` ${step.says}`);
    const note = make("p.note", { role: "status", hidden: true });
    const body = [words, line, this.where(step, note), note, copy, row];
    const node = make("details", { open: this.open }, head, body);
    node.addEventListener("toggle", () => {
      this.open = node.open;
    });
    return node;
  }

  /** What to press, each as a button that shows where it is. */
  where(step, note) {
    const button = ({ place, label }) => {
      const press = (event) => {
        event.stopPropagation(); // a click beside a menu closes it, and this one may open it
        note.hidden = this.show(place, label);
        note.textContent = note.hidden ? "" : `“${label}” is not there now: do what comes before it, or look in another channel.`;
      };
      return make("li", {}, make("button.where", { type: "button", title: "Show where it is", onclick: press }, `${place} › ${label}`));
    };
    return step.press?.length ? make("ul.wheres", {}, step.press.map(button)) : null;
  }

  finished() {
    return [
      make("p.step", { role: "status" }, make("strong", {}, "That was the tour."), " Now try:", ELSE),
      make(".row", {}, this.changer("skip", "Close")),
    ];
  }
}
