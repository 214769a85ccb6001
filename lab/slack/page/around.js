/* What stands around the conversation: who one is, the channels, the notice of what does not work right now. */

import { fill, make, reconcile } from "./dom.js";
import { avatar } from "./messages.js";

/** The persons one can act as; a badge counts what waits for their decision. */
export function drawPeople(parent, store, become) {
  const people = store.state?.people ?? [];
  reconcile(parent, people.map((one) => personTab(one, store, become)));
}

function personTab(one, store, become) {
  const chosen = one.name === store.as;
  const build = () => {
    const badge = one.decides > 0 ? toDecide(one.decides) : null;
    const isTab = { type: "button", role: "tab", "aria-controls": "main" };
    const node = make("button.person", { ...isTab, "aria-selected": String(chosen), tabindex: chosen ? "0" : "-1" });
    node.addEventListener("click", () => become(one.name));
    node.addEventListener("keydown", (event) => walk(event, node));
    return fill(node, avatar(one.name), make("span", {}, one.groups.length ? one.real_name || one.name : "No role"), badge);
  };
  return { key: one.id, version: JSON.stringify([one, chosen]), build };
}

function toDecide(count) {
  return make("span.badge", { "aria-label": `${count} to decide`, title: `${count} to decide` }, String(count));
}

/** Arrow keys move along a row of tabs. */
function walk(event, node) {
  const next = { ArrowRight: node.nextElementSibling, ArrowLeft: node.previousElementSibling }[event.key];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

/** The channels, the conversation with the bot, and the bot's Home tab. */
export function drawChannels(parent, store, go) {
  const { state } = store;
  if (!state) return;
  const bot = state.bot;
  const rows = state.channels.map((one) => channelRow(one, one.kind === "dm" ? `${bot.name}` : one.name, store, go));
  const hasDm = state.channels.some((one) => one.kind === "dm");
  const dm = hasDm ? [] : [row("dm", "", bot.name, { chosen: store.channel === "dm" }, () => go("dm"))];
  reconcile(parent, [...rows, ...dm, row("home", "⌂", "Home", { chosen: store.channel === "home" }, () => go("home"))]);
}

function channelRow(one, name, store, go) {
  const isUnread = one.unread > 0 && one.id !== store.channel;
  const look = { isUnread, decides: one.decides, chosen: one.id === store.channel };
  return row(one.id, one.kind === "dm" ? "" : "#", name, look, () => go(one.id));
}

/** A row of the channels: its name in bold where something is new, a number only for what this person can decide. */
function row(key, mark, name, look, press) {
  const { isUnread, decides, chosen } = look;
  const build = () => {
    const sign = mark ? make("span.sign", { "aria-hidden": "true" }, mark) : avatar(name, true);
    const attributes = { type: "button", "aria-current": chosen ? "page" : null, onclick: press };
    const button = make("button", attributes, sign, make("span.name", {}, name), decides ? toDecide(decides) : null);
    if (isUnread) button.classList.add("unread");
    return make("li", {}, button);
  };
  return { key, version: JSON.stringify([mark, name, look]), build };
}

const NO_SERVER = "The practice server does not answer. Is `hvops demo` still running? This page tries again by itself.";
const OVER = "The demo has ended. Start `hvops demo` again and come back to this page: it goes on by itself.";
const NO_BOT = "The bot is not connected at the moment: what you type now may get no answer.";

/** What does not work right now, said where everybody sees it. */
export function drawNotice(parent, store) {
  const says = troubleNow(store);
  parent.hidden = !says;
  if (parent.textContent !== says) parent.textContent = says;
}

function troubleNow(store) {
  if (store.over) return OVER;
  if (!store.linked) return NO_SERVER;
  const bot = store.world?.bot;
  if (bot && bot.state !== "running") return bot.says;
  if (store.state && store.state.bot.connections === 0) return NO_BOT;
  return "";
}
