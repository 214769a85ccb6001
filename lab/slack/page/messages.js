/* Messages: who, when, what, and what hangs below. */

import { drawBlocks } from "./blocks.js";
import { make, reconcile } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";

/**
 * Bring a list of messages up to date.
 * @param {Element} parent
 * @param {object[]} messages oldest first
 * @param {import("./store.js").Store} store
 * @param {?function(string)} openThread null inside a thread
 * @returns {boolean} whether anything changed
 */
export function drawMessages(parent, messages, store, openThread) {
  const wanted = messages.map((message, place) => {
    const before = messages[place - 1];
    const day = !before || dayOf(before) !== dayOf(message) ? dayOf(message) : "";
    const version = JSON.stringify([message, store.as, day, Object.values(store.names.users).length]);
    return { key: message.ts, version, build: () => drawMessage(message, store, openThread, day) };
  });
  return reconcile(parent, wanted);
}

function dayOf(message) {
  return new Date(Number(message.ts) * 1000).toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long" });
}

function drawMessage(message, store, openThread, day) {
  const at = new Date(Number(message.ts) * 1000);
  const name = message.username || store.names.users[message.user] || message.user;
  const time = make("time", { datetime: at.toISOString(), title: at.toString() }, clock(at));
  const app = message.bot ? make("span.app", {}, "APP") : null;
  const line = make(".who", {}, make("strong", {}, name), app, time);
  const note = message.ephemeral ? make("p.only", {}, "Only visible to you") : null;
  const below = [files(message), trouble(message), thread(message, openThread)];
  const inside = make(".what", {}, note, line, content(message, store), below);
  const label = `${name}, ${clock(at)}`;
  const node = make("article.message", { tabindex: "-1", "aria-label": label }, avatar(name, message.bot), inside);
  if (message.ephemeral) node.classList.add("ephemeral");
  if (rings(message, store)) node.classList.add("rings");
  return day ? make(".dated", { tabindex: "-1" }, make("p.day", {}, day), node) : node;
}

/** Whether the message rings for this person: by name, by group, or for everybody in the channel. */
function rings(message, store) {
  const { me, groups } = store.state;
  const own = groups.filter((one) => one.users.includes(me.id)).map((one) => one.id);
  const mine = new Set([me.id, "here", "channel", "everyone", ...own]);
  return message.user !== me.id && (message.pings ?? []).some((ping) => mine.has(ping));
}

function clock(at) {
  return `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
}

/** Two letters on a colour that belongs to the name. */
export function avatar(name, bot = false) {
  const hue = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 6, 7);
  return make(`span.avatar.tone${hue}${bot ? ".bot" : ""}`, { "aria-hidden": "true" }, name.slice(0, 2));
}

/** Blocks where there are any, else the text, as Slack shows it. */
function content(message, store) {
  const edited = message.edited ? make("span.edited", {}, " (edited)") : null;
  if (!message.blocks?.length) return make(".text", {}, mrkdwn(message.text ?? "", store.names), edited);
  const click = (act) => store.act({ act: "clicks", channel: message.channel, message: message.ts, ...act });
  const surface = { names: store.names, state: message.state ?? {}, click: (act) => reported(click(act), node) };
  const node = make(".blocks", { "aria-label": message.text || null, role: "group" });
  node.append(...drawBlocks(message.blocks, surface));
  if (edited) node.append(edited);
  return node;
}

/** A click that came to nothing is said beside what was clicked. */
async function reported(answer, node) {
  node.querySelector(":scope > .trouble")?.remove();
  const { ok, error } = await answer;
  if (!ok) node.append(make("p.trouble", { role: "alert" }, error ?? "That click was not accepted."));
}

function trouble(message) {
  return message.trouble ? make("p.trouble", { role: "alert" }, message.trouble) : null;
}

function files(message) {
  const shown = (message.files ?? []).map((file) => {
    const size = file.size > 2048 ? `${Math.round(file.size / 1024)} kB` : `${file.size} bytes`;
    const about = [make("strong", {}, file.title || file.name), make("small", {}, `${file.name} · ${size}`)];
    return make("li", {}, make("a.file", { href: file.url, download: file.name }, about));
  });
  return shown.length ? make("ul.files", {}, shown) : null;
}

function thread(message, openThread) {
  if (!openThread || !message.reply_count) return null;
  const label = message.reply_count === 1 ? "1 reply" : `${message.reply_count} replies`;
  return make("button.replies", { type: "button", onclick: () => openThread(message.ts) }, label);
}
