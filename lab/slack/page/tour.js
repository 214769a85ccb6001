/* The guided tour: what to do next. The server says which steps have really happened; nothing here pretends. */

import { fill, make } from "./dom.js";

const ELSE = " other persons, other stories, and the Trouble menu.";

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
  else fill(parent, ...current(tour.steps, at, draft, change));
}

function current(steps, at, draft, change) {
  const step = steps[at];
  const dot = (one, place) => make("li", { class: one.done ? "done" : place === at ? "now" : "" });
  const dots = make("ol.dots", { "aria-hidden": "true" }, steps.map(dot));
  const head = make("header", {}, make("h2", {}, `Tour ${at + 1} of ${steps.length}`), dots);
  const put = { type: "button", title: "Put it into the message box", onclick: () => draft(step.line) };
  const line = step.line ? make("button.line", put, make("code", {}, step.line)) : null;
  const copy = step.shell ? make("pre.block.shell", { tabindex: "0" }, step.shell) : null;
  const next = make("button.quiet", { type: "button", onclick: change("next") }, step.shell ? "Finish" : "Skip step");
  const skip = make("button.quiet", { type: "button", onclick: change("skip") }, "Skip tour");
  const words = make("p.step", { role: "status" }, make("strong", {}, step.title), ` ${step.says}`);
  return [head, words, line, copy, make(".row", {}, next, skip)];
}

function finished(change) {
  return [
    make("p.step", { role: "status" }, make("strong", {}, "That was the tour."), " Now try:", ELSE),
    make(".row", {}, make("button.quiet", { type: "button", onclick: change("skip") }, "Close")),
  ];
}
