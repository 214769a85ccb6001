/* The page: one store, one drawing, called again after every change. */

import { drawChannels, drawNotice, drawPeople } from "./around.js";
import { Composer } from "./composer.js";
import { fill, make } from "./dom.js";
import { drawMessages } from "./messages.js";
import { Store } from "./store.js";
import { drawTour } from "./tour.js";
import { drawHome, Windows } from "./windows.js";
import { drawWorld, StoryMenu, TroubleMenu } from "./world.js";

const LOOK_EVERY = 1500; // ms between two looks at the practice world: a restart of the bot is seen while it happens
const at = (id) => document.getElementById(id);

let planned = false;
const store = new Store(() => {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    draw();
  });
});
const windows = new Windows(at("windows"), store);
const troubles = new TroubleMenu(at("trouble-button"), at("trouble"), store);
const stories = new StoryMenu(at("story"), at("story-says"), store, restarted);
const commands = () => store.state?.commands ?? [];
const composer = new Composer(at("composer"), { id: "composer", send: say, commands });
const FOLLOW = 60_000; // ms after a person asked something, within which the answer is brought into view
let followUntil = 0;
const side = { open: "", worldSeen: false, thread: null, reply: null, world: make("section.world") };

/** Send a line to where the person looks. */
function say(line) {
  followUntil = Date.now() + FOLLOW;
  return store.act({ act: "types", channel: store.channel, text: line, thread_ts: null });
}

function reply(line) {
  return store.act({ act: "types", channel: store.channel, text: line, thread_ts: store.thread });
}

async function become(person) {
  side.open = side.open === "thread" ? "" : side.open;
  await store.become(person);
  remember();
  if (store.channel !== "home") composer.text.focus();
}

/** Look at a channel, the conversation with the bot ("dm"), or the bot's Home tab ("home"). */
async function go(channel) {
  if (channel === "dm") channel = (await store.act({ act: "opens_dm" })).channel ?? store.channel;
  Object.assign(store, { channel, thread: "" });
  if (side.open === "thread") side.open = "";
  if (channel === "home") await store.act({ act: "opens_home" });
  await store.load();
  remember();
  toEnd();
  if (channel !== "home") composer.text.focus();
}

function openThread(ts) {
  store.thread = ts;
  side.open = "thread";
  draw();
  side.reply.text.focus();
  side.thread.querySelector(".messages").lastElementChild?.scrollIntoView({ block: "nearest" });
}

function fold() {
  side.open = "";
  store.thread = "";
  draw();
}

function remember() {
  history.replaceState(null, "", `#${store.as}/${store.channel}`);
}

async function restarted(answer) {
  if (!answer.ok) return;
  Object.assign(side, { open: "", worldSeen: false });
  store.channel = "";
  await become(store.as);
  prefill();
}

/** The story's first line stands ready, so that Enter gives the first answer. */
function prefill() {
  const line = store.world?.story?.prefilled;
  const step = store.world?.tour?.steps[0];
  if (line && !step?.done) composer.draft(line, true);
}

function draw() {
  drawNotice(at("notice"), store);
  drawPeople(at("people"), store, become);
  drawChannels(at("channels"), store, go);
  stories.draw();
  troubles.draw();
  drawTour(at("tour"), store, (line) => composer.draft(line, true));
  at("estate").textContent = store.world?.estate ?? "";
  if (!store.state) return;
  drawPlace();
  drawSide();
  windows.draw();
}

function drawPlace() {
  const home = store.channel === "home";
  const channel = store.state.channels.find((one) => one.id === store.channel);
  const name = home ? "Home" : channel?.kind === "dm" ? store.state.bot.name : `#${channel?.name ?? ""}`;
  at("place-name").textContent = name;
  at("place-topic").textContent = home ? `of ${store.state.bot.name}` : (channel?.topic ?? "");
  at("scroll").hidden = at("composer").hidden = home;
  at("home").hidden = !home;
  if (home) {
    drawHome(at("home"), store);
    return;
  }
  composer.show(`Message ${name}`);
  const near = nearEnd() || Date.now() < followUntil;
  const last = at("messages").lastElementChild;
  const changed = drawMessages(at("messages"), store.messages(store.channel), store, openThread);
  if (changed && near) toEnd();
  else if (at("messages").lastElementChild !== last) at("newer").hidden = nearEnd();
  mark(channel);
}

/** Whoever asks by a button wants to see the answer; whoever scrolls wants to read what is there. */
function followTheAnswer() {
  at("messages").addEventListener("click", (event) => {
    if (event.target.closest(".block button")) followUntil = Date.now() + FOLLOW;
  });
  for (const kind of ["wheel", "touchmove"]) at("scroll").addEventListener(kind, () => (followUntil = 0), { passive: true });
  at("scroll").addEventListener("scroll", () => (at("newer").hidden ||= nearEnd()), { passive: true });
  at("newer").addEventListener("click", toEnd);
}

function nearEnd() {
  const box = at("scroll");
  return box.scrollHeight - box.scrollTop - box.clientHeight < 120;
}

/** The newest message in view: its end, or its beginning where it is longer than the window. */
function toEnd() {
  requestAnimationFrame(() => {
    const box = at("scroll");
    const last = at("messages").lastElementChild;
    if (last && last.offsetHeight > box.clientHeight) box.scrollTop = last.offsetTop - 8;
    else box.scrollTop = box.scrollHeight;
  });
}

function mark(channel) {
  const last = store.messages(store.channel).at(-1);
  if (!channel?.unread || !last || document.hidden) return;
  channel.unread = 0;
  store.act({ act: "marks", channel: channel.id, ts: last.ts });
}

function drawSide() {
  const answered = store.world?.tour?.answered;
  if (answered && !side.worldSeen) {
    side.worldSeen = true;
    side.open ||= matchMedia("(min-width: 64rem)").matches ? "world" : "";
  }
  at("world-button").setAttribute("aria-expanded", String(side.open === "world"));
  at("side").hidden = !side.open;
  at("columns").dataset.side = side.open;
  if (side.open === "world") {
    if (!side.world.isConnected) fill(at("side"), side.world);
    drawWorld(side.world, store, fold);
  } else if (side.open === "thread") drawThread();
}

function drawThread() {
  if (!side.thread) makeThread();
  if (!side.thread.isConnected) fill(at("side"), side.thread);
  side.reply.show("Reply in the thread");
  drawMessages(side.thread.querySelector(".messages"), store.replies(store.channel, store.thread), store, null);
}

function makeThread() {
  const shut = make("button.x", { type: "button", "aria-label": "Close the thread", onclick: fold }, "×");
  const list = make(".scroll", { tabindex: "0", role: "log", "aria-label": "Thread" }, make(".messages"));
  const box = make(".reply");
  side.thread = make("section.thread", {}, make("header", {}, make("h2", {}, "Thread"), shut), list, box);
  side.reply = new Composer(box, { id: "reply", send: reply, commands: () => [] });
}

async function lookAround() {
  if (!document.hidden) await store.look().catch(() => {});
  setTimeout(lookAround, LOOK_EVERY);
}

at("world-button").addEventListener("click", () => {
  side.open = side.open === "world" ? "" : "world";
  draw();
});

async function start() {
  followTheAnswer();
  const [person, channel] = location.hash.slice(1).split("/");
  await store.look().catch(() => {});
  store.channel = channel ?? "";
  await store.become(person || "operator").catch(() => store.become("operator"));
  toEnd();
  prefill();
  composer.text.focus();
  setTimeout(lookAround, LOOK_EVERY);
}

start().catch((error) => {
  at("notice").hidden = false;
  at("notice").textContent = `The page could not start: ${error.message}`;
});
