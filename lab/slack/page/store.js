/*
 * What one person sees, kept up to date. The server's state is the truth: an event replaces one object in it, and
 * whatever is not understood is answered by loading the state again.
 */

import { follow, get, post, returned } from "./link.js";

const EMPTY = { users: {}, groups: {}, channels: {} };

/** The state of one person, the practice world beside it, and where the person looks. */
export class Store {
  /** @param {function()} changed called after every change */
  constructor(changed) {
    this.changed = changed;
    this.state = null;
    this.world = null;
    this.linked = true;
    this.over = false;
    this.names = EMPTY;
    this.as = "operator";
    this.channel = "";
    this.thread = "";
    this.stop = () => {};
    this.loading = 0;
    this.changing = false; // another story is being set up for this page
    this.coming = null; // the wait for a bot that is starting, shared by all lines that wait for it
  }

  /** Become a person: load what they see and follow it. */
  async become(person) {
    this.stop();
    Object.assign(this, { as: person, thread: "", state: null });
    while (!this.state && this.as === person) await this.load(); // a load that is overtaken changes nothing
    if (this.as !== person) return;
    this.stop();
    const path = `/practice/events?as=${encodeURIComponent(person)}&after=${this.state.version}`;
    this.stop = follow(path, (event) => this.hear(event), (linked) => this.link(linked), () => this.end());
  }

  /** Load everything again. An answer that was overtaken by a later load is thrown away. */
  async load() {
    const mine = (this.loading += 1);
    const state = await get(`/practice/state?as=${encodeURIComponent(this.as)}`);
    if (mine !== this.loading) return;
    this.state = state;
    this.names = namesOf(state);
    if (this.channel !== "home" && !state.channels.some((one) => one.id === this.channel)) this.channel = firstOf(state);
    this.changed();
  }

  /** Load what the practice world and the bot look like. */
  async look() {
    this.world = await get("/practice/world");
    this.changed();
  }

  /** Whether the bot is only coming: what is sent now would be answered "dispatch_failed", or go with the story before. */
  get isStarting() {
    return !this.over && (this.changing || this.world?.bot?.state === "starting");
  }

  /** Wait while the bot is starting, half a minute at most. Lines that wait go on in the order in which they came. */
  botStarted() {
    this.coming ??= this.untilStarted().finally(() => {
      this.coming = null;
    });
    return this.coming;
  }

  async untilStarted() {
    for (let looks = 0; looks < 100 && this.isStarting; looks += 1) {
      await new Promise((done) => setTimeout(done, 300));
      if (!this.changing) await this.look().catch(() => {});
    }
  }

  link(linked) {
    this.linked = linked;
    this.changed();
  }

  end() {
    this.over = true;
    this.changed();
  }

  /** Somebody looks at the page again: where the demo had ended, it may run again. */
  async comeBack() {
    if (!this.over || !(await returned("/practice/world"))) return;
    this.over = false;
    this.linked = true;
    await this.become(this.as);
    await this.look();
  }

  hear(event) {
    const isNews = event.kind === "reset" || event.version > this.state?.version; // a restarted server counts from 1
    if (!this.state || !isNews) return;
    this.state.version = event.version;
    if (event.kind === "reset") this.look().catch(() => {}); // another story perhaps: nothing is sent to a bot that ends
    if (APPLY[event.kind]?.(this.state, event)) this.changed();
    else this.load().catch(() => this.link(false));
  }

  /** Do something as this person. Answers the server's {ok, …}; a broken wire is an answer too, marked so. */
  async act(act) {
    try {
      return await post("/practice/act", { as: this.as, act: act.act, ...act });
    } catch (error) {
      return { ok: false, broken: true, error: error.message };
    }
  }

  /** Do something to the practice world, then look at it. */
  async change(path, body) {
    this.changing ||= path === "story";
    this.changed();
    try {
      return await post(`/practice/world/${path}`, body);
    } catch (error) {
      return { ok: false, error: error.message };
    } finally {
      await this.look().catch(() => this.link(false));
      if (path === "story") this.changing = false;
      this.changed();
    }
  }

  /** The messages of a channel that stand outside of threads. */
  messages(channel) {
    return (this.state?.messages[channel] ?? []).filter((one) => !one.thread_ts || one.thread_ts === one.ts);
  }

  /** A message with its replies. */
  replies(channel, ts) {
    return (this.state?.messages[channel] ?? []).filter((one) => one.ts === ts || one.thread_ts === ts);
  }
}

function namesOf(state) {
  const users = Object.fromEntries(state.people.map((one) => [one.id, one.name]));
  users[state.bot.user_id] = state.bot.name;
  const groups = Object.fromEntries(state.groups.map((one) => [one.id, one.handle]));
  const channels = Object.fromEntries(state.channels.map((one) => [one.id, one.name]));
  return { users, groups, channels };
}

function firstOf(state) {
  return (state.channels.find((one) => one.name === "hv-ops") ?? state.channels[0])?.id ?? "home";
}

/** How an event changes the state; answers false where the state must be loaded again. */
const APPLY = {
  message: (state, event) => place(state, event),
  message_changed: (state, event) => place(state, event),
  message_deleted: (state, event) => {
    const list = state.messages[event.channel] ?? [];
    state.messages[event.channel] = list.filter((one) => one.ts !== event.ts);
    return true;
  },
  view_opened: (state, event) => event.view && Boolean(replace(state.views, event.view, "id")),
  view_changed: (state, event) => event.view && Boolean(replace(state.views, event.view, "id")),
  home: (state, event) => {
    state.home = event.view;
    return true;
  },
};

/** A message in its place. Badges come with the state, so one that is new, or that is decided now, loads that too. */
function place(state, event) {
  if (!event.message) return false;
  const list = (state.messages[event.channel] ??= []);
  const before = list.find((known) => known.ts === event.message.ts);
  const isNew = replace(list, event.message, "ts");
  if (isNew) list.sort((a, b) => Number(a.ts) - Number(b.ts));
  return !isNew && before.asks === event.message.asks;
}

function replace(list, one, key) {
  const at = list.findIndex((known) => known[key] === one[key]);
  if (at < 0) list.push(one);
  else list[at] = one;
  return key === "id" ? true : at < 0;
}
