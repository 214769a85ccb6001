/* The guided tour: what to do next. The server says which steps have really happened; nothing here pretends. */

import { fill, make } from "./dom.js";

/**
 * @param {Element} parent
 * @param {import("./store.js").Store} store
 * @param {function(string)} draft puts a line into the message box
 */
export function drawTour(parent, store, draft) {
  const tour = store.world?.tour;
  const version = JSON.stringify([tour, store.as]);
  if (parent.version === version) return;
  parent.version = version;
  parent.hidden = !tour?.steps.length;
  if (parent.hidden) return;
  const change = (what) => () => store.change("tour", { tour: what });
  const at = tour.steps.findIndex((step) => !step.done);
  if (tour.skipped) fill(parent, make("button.quiet", { type: "button", onclick: change("resume") }, "Show the tour"));
  else if (at < 0) fill(parent, finished(change));
  else fill(parent, ...current(tour.steps, at, store, draft, change));
}

function current(steps, at, store, draft, change) {
  const step = steps[at];
  const dots = make("ol.dots", { "aria-hidden": "true" }, steps.map((one, place) => make("li", { class: one.done ? "done" : place === at ? "now" : "" })));
  const head = make("header", {}, make("h2", {}, `Tour ${at + 1} of ${steps.length}`), dots);
  const who = step.as && step.as !== store.as ? make("p.note", {}, `As ${step.as}.`) : null;
  const line = step.line ? make("button.line", { type: "button", title: "Put it into the message box", onclick: () => draft(step.line) }, make("code", {}, step.line)) : null;
  const copy = step.shell ? make("pre.block.shell", { tabindex: "0" }, step.shell) : null;
  const next = make("button.quiet", { type: "button", onclick: change("next") }, step.shell ? "Finish" : "Skip step");
  const skip = make("button.quiet", { type: "button", onclick: change("skip") }, "Skip tour");
  return [head, make("p.step", { role: "status" }, make("strong", {}, step.title), ` ${step.says}`), who, line, copy, make(".row", {}, next, skip)];
}

function finished(change) {
  return [
    make("p.step", { role: "status" }, make("strong", {}, "That was the tour."), " Everything you saw is still here: other persons, other stories, trouble to make."),
    make(".row", {}, make("button.quiet", { type: "button", onclick: change("skip") }, "Close")),
  ];
}
