/*
 * Slack's mrkdwn as nodes: *bold* _italic_ ~strike~ `code` ```preformatted``` > quotes, and what stands between < and >
 * (links, people, groups, channels, dates). Only & < > are escaped in such text: &amp; &lt; &gt;.
 */

import { make } from "./dom.js";

const STYLES = { "*": "strong", _: "em", "~": "s" };
const BROADCASTS = new Set(["here", "channel", "everyone"]);

/** A text object ({type: mrkdwn | plain_text, text}) as nodes. */
export function textObject(object, names) {
  if (!object) return [];
  return object.type === "mrkdwn" ? mrkdwn(object.text ?? "", names) : lines(object.text ?? "");
}

/** Plain text as nodes, line breaks kept. */
export function lines(text) {
  return String(text).split("\n").flatMap((line, place) => (place ? [make("br"), line] : [line]));
}

/**
 * mrkdwn as nodes.
 * @param {string} text as it stands in the message
 * @param {{users: object, groups: object, channels: object}} names id -> name, for mentions
 */
export function mrkdwn(text, names) {
  return String(text).split(/(```[\s\S]*?```)/).flatMap((part, place) => {
    if (place % 2) return [make("pre.block", {}, plain(part.slice(3, -3).replace(/^\n|\n$/g, "")))];
    return quotes(part, names);
  });
}

/** Undo Slack's three escapes, once. */
export function plain(text) {
  return text.replace(/&(amp|lt|gt);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">" })[name]);
}

function quotes(text, names) {
  const nodes = [];
  let quote = null;
  text.split("\n").forEach((line, place) => {
    const quoted = line.match(/^(?:&gt;|>)\s?(.*)$/);
    if (quoted) {
      if (quote) quote.append(make("br"));
      else nodes.push((quote = make("blockquote")));
      quote.append(...inline(quoted[1], names));
      return;
    }
    if (place && !quote) nodes.push(make("br"));
    quote = null;
    nodes.push(...inline(line, names));
  });
  return nodes;
}

/** One line: code, entities, then styles around them. */
function inline(text, names) {
  const nodes = [];
  let held = "";
  const flush = () => {
    if (held) nodes.push(document.createTextNode(plain(held)));
    held = "";
  };
  for (let at = 0; at < text.length; ) {
    const found = special(text, at, names);
    if (!found) {
      held += text[at];
      at += 1;
      continue;
    }
    flush();
    nodes.push(found.node);
    at = found.end;
  }
  flush();
  return nodes;
}

function special(text, at, names) {
  const mark = text[at];
  if (mark === "`") return code(text, at);
  if (mark === "<") return entity(text, at, names);
  if (mark in STYLES) return styled(text, at, names);
  return null;
}

function code(text, at) {
  const end = text.indexOf("`", at + 1);
  return end > at + 1 ? { node: make("code", {}, plain(text.slice(at + 1, end))), end: end + 1 } : null;
}

/** A style begins and ends at the edge of a word, on one line, and does not end inside code or an entity. */
function styled(text, at, names) {
  const mark = text[at];
  const opens = !/[\p{L}\p{N}]/u.test(text[at - 1] ?? "") && /\S/.test(text[at + 1] ?? "") && text[at + 1] !== mark;
  const end = opens ? closing(text, at + 1, mark) : -1;
  if (end < 0) return null;
  return { node: make(STYLES[mark], {}, inline(text.slice(at + 1, end), names)), end: end + 1 };
}

function closing(text, from, mark) {
  for (let at = from; at < text.length; at += 1) {
    const skip = { "`": "`", "<": ">" }[text[at]];
    const past = skip ? text.indexOf(skip, at + 1) : -1;
    if (past > 0) at = past;
    else if (text[at] === mark && /\S/.test(text[at - 1]) && !/[\p{L}\p{N}]/u.test(text[at + 1] ?? "")) return at;
  }
  return -1;
}

function entity(text, at, names) {
  const end = text.indexOf(">", at);
  if (end < at + 2) return null;
  const [target, ...rest] = text.slice(at + 1, end).split("|");
  return { node: reference(target, plain(rest.join("|")), names), end: end + 1 };
}

function reference(target, label, names) {
  if (target.startsWith("@")) return mention(`@${names.users[target.slice(1)] ?? (label || target.slice(1))}`);
  if (target.startsWith("#")) return mention(`#${names.channels[target.slice(1)] ?? (label || target.slice(1))}`);
  if (target.startsWith("!subteam^")) return group(target.slice(9), label, names);
  if (target.startsWith("!date^")) return date(target, label);
  if (target.startsWith("!")) return broadcast(target.slice(1), label);
  return link(plain(target), label);
}

/** A highlighted name. */
export function mention(text) {
  return make("span.mention", {}, text);
}

function group(id, label, names) {
  const name = names.groups[id] ?? (label || id);
  return mention(name.startsWith("@") ? name : `@${name}`);
}

/** A broadcast is drawn loudly: a message that rings a whole channel by accident is a fault to be seen here. */
export function broadcast(range, label = "") {
  if (!BROADCASTS.has(range)) return mention(label || range);
  return make("span.mention.loud", { title: "This rings everybody in the channel" }, `@${range}`);
}

/** A link opens in a new tab and tells nobody where it came from; anything but http, https and mailto stays text. */
export function link(url, label = "") {
  if (!/^(https?:\/\/|mailto:)/i.test(url)) return document.createTextNode(label || `<${url}>`);
  return make("a", { href: url, target: "_blank", rel: "noopener noreferrer", title: url }, label || url);
}

function date(target, fallback) {
  const [, seconds, format] = target.split("^");
  const at = new Date(Number(seconds) * 1000);
  if (Number.isNaN(at.valueOf())) return document.createTextNode(fallback);
  return make("time", { datetime: at.toISOString(), title: at.toString() }, dated(at, format ?? ""));
}

/** Slack's date tokens, in the reader's own time zone. */
export function dated(at, format) {
  const two = (number) => String(number).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const long = at.toLocaleDateString(undefined, { dateStyle: "long" });
  const tokens = { date_num: day, time: clock, time_secs: `${clock}:${two(at.getSeconds())}` };
  return format.replace(/\{(\w+)\}/g, (_, token) => tokens[token] ?? long);
}
