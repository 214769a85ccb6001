/* The pane at the side: the world, or a thread, or nothing. */

import { Composer } from "./composer.js";
import { fill, make } from "./dom.js";
import { drawMessages } from "./messages.js";
import { drawWorld } from "./world.js";

/** Draws itself into `parent`; `open` is "", "world" or "thread". */
export class Side {
  /**
   * @param {{parent: Element, columns: Element, button: Element}} places
   * @param {import("./store.js").Store} store
   */
  constructor(places, store) {
    Object.assign(this, places, { store, open: "", story: "", seen: "" });
    this.world = make("section.world");
    this.replies = make(".messages");
    this.thread = this.makeThread();
    this.button.addEventListener("click", () => this.turn(this.open === "world" ? "" : "world"));
  }

  makeThread() {
    const shut = make("button.x", { type: "button", "aria-label": "Close the thread", onclick: () => this.turn("") }, "×");
    const list = make(".scroll", { tabindex: "0", role: "log", "aria-label": "Thread" }, this.replies);
    const box = make(".reply");
    const send = (text) => {
      const { channel, thread } = this.store;
      return this.store.act({ act: "types", channel, text, thread_ts: thread });
    };
    this.composer = new Composer(box, { id: "reply", send, commands: () => [] });
    this.composer.show("Reply in the thread");
    return make("section.thread", {}, make("header", {}, make("h2", {}, "Thread"), shut), list, box);
  }

  turn(open) {
    if (open !== "thread") this.store.thread = "";
    this.open = open;
    this.draw();
  }

  openThread(ts) {
    this.store.thread = ts;
    this.turn("thread");
    this.composer.text.focus();
    this.replies.lastElementChild?.scrollIntoView({ block: "nearest" });
  }

  /** Leave the thread of a conversation that is no longer looked at. */
  leaveThread() {
    if (this.open === "thread") this.turn("");
  }

  draw() {
    this.mark();
    this.button.setAttribute("aria-expanded", String(this.open === "world"));
    this.parent.hidden = !this.open;
    this.columns.dataset.side = this.open;
    if (!this.open) return;
    const shown = this[this.open];
    if (!shown.isConnected) fill(this.parent, shown);
    if (this.open === "world") drawWorld(this.world, this.store, () => this.turn(""));
    else drawMessages(this.replies, this.store.replies(this.store.channel, this.store.thread), this.store, null);
  }

  /** The world stays folded until somebody opens it; its button says when something has changed there meanwhile. */
  mark() {
    const { world } = this.store;
    if (!world?.story) return;
    const facts = JSON.stringify([world.story.name, world.facts]);
    if (this.open === "world" || this.story !== world.story.name) this.seen = facts;
    this.story = world.story.name;
    const isNews = this.seen !== facts;
    this.button.classList.toggle("news", isNews);
    this.button.setAttribute("aria-label", isNews ? "World, changed" : "World");
    this.button.title = isNews ? "Something has changed there" : "";
  }
}
