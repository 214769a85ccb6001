/* The page: one store, one drawing, called again after every change. */

import { drawChannels, drawNotice, drawPeople } from "./around.js";
import { Composer } from "./composer.js";
import { drawMessages } from "./messages.js";
import { Scroll } from "./scroll.js";
import { Side } from "./side.js";
import { Store } from "./store.js";
import { point } from "./point.js";
import { Tour } from "./tour.js";
import { drawHome, Windows } from "./windows.js";
import { StoryMenu, TroubleMenu } from "./world.js";

const LOOK_EVERY = 1500; // ms between two looks at the practice world: a restart of the bot is seen while it happens
const at = (id) => document.getElementById(id);

let planned = false;
const waiting = []; // lines that are sent once the bot is there
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
const scroll = new Scroll(at("scroll"), at("messages"), at("newer"));
const side = new Side({ parent: at("side"), columns: at("columns"), button: at("world-button") }, store);
const composer = new Composer(at("composer"), { id: "composer", send: say, commands: () => store.state?.commands ?? [] });
const tour = new Tour(at("tour"), store, {
  draft: (line) => composer.draft(line, true),
  show: (place, label) => point(place, label, { side, troubles }),
});

/** Send a line to where the person looks; while the bot is just starting, once it is there. */
async function say(text) {
  scroll.follow();
  const { as, channel } = store;
  const comes = store.isStarting;
  if (comes) {
    waiting.push(text);
    drawStarting();
    await store.botStarted();
    waiting.splice(waiting.indexOf(text), 1);
    drawStarting();
  }
  const stays = !comes || store.as !== as || store.state?.channels.some((one) => one.id === channel);
  return store.act({ act: "types", as, channel: stays ? channel : store.channel, text, thread_ts: null });
}

/** Beside the message box: that the bot is starting, and what goes to it as soon as it is there. */
function drawStarting() {
  const lines = waiting.length ? ` Sent as soon as it is ready: ${waiting.join(" · ")}` : " What you send now waits for it.";
  composer.say(store.isStarting || waiting.length ? `The bot is starting…${lines}` : "");
}

async function become(person) {
  side.leaveThread();
  await store.become(person);
  arrive();
}

/** Look at a channel, the conversation with the bot ("dm"), or the bot's Home tab ("home"). */
async function go(channel) {
  side.leaveThread();
  if (channel === "dm") store.channel = (await store.act({ act: "opens_dm" })).channel ?? store.channel;
  else store.channel = channel;
  if (channel === "home") await store.act({ act: "opens_home" });
  await store.load();
  scroll.toEnd();
  arrive();
}

/** The address remembers who looks at what; whoever arrives in a conversation can type. */
function arrive() {
  history.replaceState(null, "", `#${store.as}/${store.channel}`);
  if (store.channel !== "home") composer.text.focus();
}

async function restarted(answer) {
  if (!answer.ok) return;
  side.leaveThread();
  store.channel = "";
  await become(store.as);
  prefill();
}

/** The story's first line stands ready, so that Enter gives the first answer. */
function prefill() {
  const line = store.world?.story?.prefilled;
  const step = store.world?.tour?.steps[0];
  if (line && !step?.done) composer.offer(line);
}

function draw() {
  drawNotice(at("notice"), store);
  drawPeople(at("people"), store, become);
  drawChannels(at("channels"), store, go);
  stories.draw();
  troubles.draw();
  tour.draw();
  drawStarting();
  at("estate").textContent = store.world?.estate ?? "";
  if (!store.state) return;
  drawPlace();
  side.draw();
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
  const messages = store.messages(store.channel);
  scroll.around(() => drawMessages(at("messages"), messages, store, (ts) => side.openThread(ts)));
  mark(channel, messages.at(-1));
}

/** What is shown is read. */
function mark(channel, last) {
  if (!channel?.unread || !last || document.hidden) return;
  channel.unread = 0;
  store.act({ act: "marks", channel: channel.id, ts: last.ts });
}

async function lookAround() {
  if (!document.hidden) await store.look().catch(() => {}); // the event stream says when the server is gone
  setTimeout(lookAround, LOOK_EVERY);
}

async function start() {
  const [person, channel] = location.hash.slice(1).split("/");
  await store.look().catch(() => {});
  store.channel = channel ?? "";
  await store.become(person || "operator").catch(() => store.become("operator"));
  scroll.toEnd();
  prefill();
  composer.text.focus();
  setTimeout(lookAround, LOOK_EVERY);
}

// A page of an ended demo asks for it only when somebody looks: until then nobody misses it.
window.addEventListener("focus", () => store.comeBack().catch(() => {}));
document.addEventListener("visibilitychange", () => !document.hidden && store.comeBack().catch(() => {}));

start().catch((error) => {
  at("notice").hidden = false;
  at("notice").textContent = `The page could not start: ${error.message}`;
});
