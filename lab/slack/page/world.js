/*
 * The world outside of Slack: what is true on the practice machines, what one can do there as their administrator,
 * and the trouble one can make. Everything here goes past the bot, as real life does.
 */

import { asked } from "./dialog.js";
import { fill, make } from "./dom.js";

/** The panel: facts, then what a guest's administrator can do. */
export function drawWorld(parent, store, close) {
  const { world } = store;
  const version = JSON.stringify([world?.facts, world?.actions, world?.story?.name]);
  if (parent.version === version) return;
  parent.version = version;
  const before = parent.facts ?? {};
  parent.facts = Object.fromEntries((world?.facts ?? []).map((one) => [one.about, one.says]));
  const shut = make("button.x", { type: "button", "aria-label": "Fold the world", onclick: close }, "×");
  const head = make("header", {}, make("h2", {}, "World"), shut);
  const note = make("p.note", {}, "The machines as they are. The bot is never told: it has to ask them.");
  const facts = make("ul.facts", {}, (world?.facts ?? []).map((one) => fact(one, before[one.about])));
  const deeds = (world?.actions ?? []).map((one) => deed(one, store));
  const acts = deeds.length ? [make("h3", {}, "What people can do there"), make("ul.deeds", {}, deeds)] : [];
  fill(parent, head, note, facts, acts);
}

/** A fact; one that has just changed is marked, with what it was before. */
function fact(one, before) {
  const changed = before !== undefined && before !== one.says;
  const was = changed ? make("small", {}, `was: ${before}`) : null;
  return make("li", { class: changed ? "changed" : null }, make("strong", {}, one.about), make("span", {}, one.says, was));
}

function deed(one, store) {
  const said = make("p.trouble", { role: "alert", hidden: true });
  const press = async (event) => {
    event.target.disabled = true;
    const answer = await store.change("act", { action: one.key });
    event.target.disabled = false;
    said.textContent = answer.error ?? "";
    said.hidden = answer.ok;
  };
  const button = make("button", { type: "button", onclick: press }, one.label);
  return make("li", {}, button, said);
}

/** The menu of troubles; one that is in force is ticked and can be ended. */
export class TroubleMenu {
  constructor(button, popup, store) {
    Object.assign(this, { button, popup, store, version: "" });
    button.addEventListener("click", () => this.toggle(this.popup.hidden));
    popup.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("click", (event) => {
      if (!popup.contains(event.target) && event.target !== button) this.toggle(false);
    });
  }

  toggle(open) {
    this.popup.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open) this.popup.querySelector("button")?.focus();
  }

  key(event) {
    const items = [...this.popup.querySelectorAll("button")];
    const at = items.indexOf(document.activeElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Escape") {
      this.toggle(false);
      this.button.focus();
    } else if (next !== undefined) items[(next + items.length) % items.length]?.focus();
    else return;
    event.preventDefault();
  }

  draw() {
    const troubles = this.store.world?.troubles ?? [];
    const version = JSON.stringify(troubles);
    const count = troubles.filter((one) => one.active).length;
    this.button.textContent = count ? `Trouble (${count})` : "Trouble";
    if (this.version === version) return;
    this.version = version;
    fill(this.popup, troubles.map((one) => this.item(one)));
  }

  item(one) {
    const press = async () => {
      this.toggle(false);
      this.button.focus();
      await this.store.change("trouble", { trouble: one.key });
    };
    const role = one.active === null ? "menuitem" : "menuitemcheckbox";
    const checked = one.active === null ? null : String(one.active);
    const words = [make("strong", {}, one.label), make("small", {}, one.says)];
    return make("button", { type: "button", role, "aria-checked": checked, onclick: press }, words);
  }
}

/** The menu of stories. Another story means another world, so it asks first. */
export class StoryMenu {
  constructor(select, says, store, restarted) {
    Object.assign(this, { select, says, store, restarted, version: "" });
    select.addEventListener("change", () => this.choose(select.value));
  }

  draw() {
    const { world } = this.store;
    const version = JSON.stringify([world?.stories, world?.story?.name]);
    if (!world || this.version === version) return;
    this.version = version;
    const again = make("option", { value: "again" }, "Start this scenario over…");
    const option = (one) => make("option", { value: one.name, selected: one.name === world.story.name }, one.title);
    fill(this.select, world.stories.map(option), again);
    this.says.textContent = world.story.says;
  }

  async choose(name) {
    const now = this.store.world.story.name;
    this.select.value = now;
    const wanted = this.store.world.stories.find((one) => one.name === name);
    const title = wanted ? `Change to “${wanted.title}”?` : "Start over?";
    const text = `${wanted?.says ?? this.store.world.story.says} All messages and the ledger of this scenario are left behind.`;
    if (!(await asked(title, text, "Start Over", "Stay"))) return;
    const answer = await this.store.change("story", { story: wanted?.name ?? now });
    if (!answer.ok) this.says.textContent = `The scenario could not be changed. ${answer.error}`;
    this.restarted(answer);
  }
}
