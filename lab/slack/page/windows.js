/* The app's modals (a stack of three at most, the top one shown) and its Home tab. */

import { drawBlocks, valuesOf } from "./blocks.js";
import { fill, make } from "./dom.js";
import { lines } from "./mrkdwn.js";

const TYPED = ".input input[data-action], .input textarea, .input select:not([multiple])";

/** The window in which the top modal of the stack stands. */
export class Windows {
  constructor(parent, store) {
    this.store = store;
    this.shown = { id: "", version: "" };
    this.dialog = make("dialog.modal", { "aria-labelledby": "modal-title" });
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault(); // the server closes it, so that the app hears of it
      this.close(false);
    });
    parent.append(this.dialog);
  }

  /** Show what the state says is open. */
  draw() {
    const views = this.store.state?.views ?? [];
    const view = views.at(-1);
    if (!view) return this.hide();
    const version = JSON.stringify([{ ...view, state: null }, views.length]); // what is typed changes nothing to be drawn
    if (version === this.shown.version) return undefined;
    const same = view.id === this.shown.id;
    const held = same ? this.dialog.querySelector(":focus") : null;
    const typed = same ? [...this.dialog.querySelectorAll(TYPED)] : [];
    this.shown = { id: view.id, version };
    fill(this.dialog, this.form(view, views.length));
    typed.forEach((old) => this.again(old, (node) => (node.value = old.value)));
    if (!this.dialog.open) this.dialog.showModal();
    return this.focus(held);
  }

  hide() {
    this.shown = { id: "", version: "" };
    if (this.dialog.open) this.dialog.close();
  }

  /** Do something to the control that stands in the place of an old one, if there is one; answers whether. */
  again(old, act) {
    const { block, action } = old.dataset;
    const same = (node) => node.dataset.block === block && node.dataset.action === action;
    const node = action && [...this.dialog.querySelectorAll("[data-action]")].find(same);
    if (node) act(node);
    return Boolean(node);
  }

  focus(held) {
    if (held && this.again(held, (node) => node.focus())) return;
    const first = this.dialog.querySelector(".input [data-action]:not(fieldset, .combobox), .input input, footer button:last-child");
    first?.focus();
  }

  form(view, depth) {
    const title = make("h2", { id: "modal-title" }, lines(view.title?.text ?? ""));
    const whole = make("button.x", { type: "button", "aria-label": "Close", onclick: () => this.close(true) }, "×");
    const body = make(".window-body", { tabindex: "0" }, drawBlocks(view.blocks, this.surface(view)));
    const trouble = make("p.trouble", { role: "alert", hidden: !view.trouble }, view.trouble);
    const leave = view.close?.text ?? (depth > 1 ? "Back" : "Close");
    const back = make("button", { type: "button", onclick: () => this.close(false) }, leave);
    const submit = view.submit ? make("button.primary", { type: "submit" }, view.submit.text) : null;
    const stack = depth > 1 ? make("span.depth", {}, `${depth} of 3 windows`) : null;
    const [head, foot] = [make("header", {}, title, stack, whole), make("footer", {}, back, submit)];
    const form = make("form", { novalidate: true }, head, body, trouble, foot);
    form.addEventListener("submit", (event) => this.submit(event, view, form, trouble));
    form.addEventListener("change", (event) => this.keep(event.target.closest("[data-action]"), view));
    return form;
  }

  surface(view) {
    const click = (act) => this.store.act({ act: "clicks", view: view.id, ...act });
    const suggest = (act) => this.store.act({ act: "suggests", view: view.id, ...act });
    return { names: this.store.names, state: view.state ?? {}, errors: view.errors ?? {}, click, suggest };
  }

  /** What is typed is kept at the server, so that an update of the view by the app does not lose it. */
  keep(node, view) {
    const block = view.blocks.find((one) => one.block_id === node?.dataset.block);
    if (!node?.read || block?.type !== "input" || block.dispatch_action) return;
    const { block: block_id, action: action_id } = node.dataset;
    this.store.act({ act: "chooses", view: view.id, block_id, action_id, value: node.read() });
  }

  async submit(event, view, form, trouble) {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    if (!button) return;
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    const answer = await this.store.act({ act: "submits", view: view.id, values: valuesOf(form) });
    button.disabled = false;
    button.removeAttribute("aria-busy");
    const wrong = Object.keys(answer.errors ?? {}).length > 0;
    trouble.hidden = answer.ok || wrong;
    trouble.textContent = answer.error ?? "";
    if (wrong) await this.store.load();
  }

  close(all) {
    const view = this.store.state?.views.at(-1);
    if (view) this.store.act({ act: "closes", view: view.id, all });
  }
}

/** The Home tab: what the app published for this person. */
export function drawHome(parent, store) {
  const view = store.state?.home;
  const version = JSON.stringify([view, store.as]);
  if (parent.version === version) return;
  parent.version = version;
  if (!view) {
    fill(parent, make("p.empty", {}, "The bot has not published a Home tab for this person yet."));
    return;
  }
  const click = (act) => store.act({ act: "clicks", view: view.id, ...act });
  fill(parent, drawBlocks(view.blocks, { names: store.names, state: view.state ?? {}, errors: view.errors, click }));
}
