/* rich_text: sections, lists, quotes and preformatted text, with styled runs inside. */

import { draw, make } from "./dom.js";
import { broadcast, dated, lines, link, mention } from "./mrkdwn.js";

const PARTS = {
  rich_text_section: (part, names) => make("p.run", {}, runs(part.elements, names)),
  rich_text_preformatted: (part, names) => make("pre.block", { tabindex: "0" }, runs(part.elements, names)),
  rich_text_quote: (part, names) => make("blockquote", {}, runs(part.elements, names)),
  rich_text_list: list,
};

/** A rich_text block. */
export function richText(block, names) {
  return make(".rich", {}, (block.elements ?? []).map((part) => (PARTS[part.type] ?? odd)(part, names)));
}

function list(part, names) {
  const items = (part.elements ?? []).map((item) => make("li", {}, runs(item.elements, names)));
  const node = make(part.style === "ordered" ? "ol" : "ul", {}, items);
  if (part.indent) node.style.marginInlineStart = `${Math.min(part.indent, 8) * 1.5}em`;
  if (part.offset) node.setAttribute("start", String(part.offset + 1));
  return node;
}

function runs(elements, names) {
  return (elements ?? []).map((element) => styled(run(element, names), element.style ?? {}));
}

function run(element, names) {
  switch (element.type) {
    case "text":
      return make("span", {}, lines(element.text));
    case "link":
      return link(element.url ?? "", element.text ?? "");
    case "user":
      return mention(`@${names.users[element.user_id] ?? element.user_id}`);
    case "usergroup":
      return mention(`@${names.groups[element.usergroup_id] ?? element.usergroup_id}`);
    case "channel":
      return mention(`#${names.channels[element.channel_id] ?? element.channel_id}`);
    case "broadcast":
      return broadcast(element.range);
    case "emoji":
      return make("span", {}, emoji(element));
    case "date":
      return make("time", {}, dated(new Date(element.timestamp * 1000), element.format ?? "{date_num} {time}"));
    case "color":
      return swatch(element.value ?? "");
    default:
      return odd(element);
  }
}

function emoji(element) {
  const points = (element.unicode ?? "").split("-").map((point) => parseInt(point, 16));
  return points.every((point) => point > 0) ? String.fromCodePoint(...points) : `:${element.name}:`;
}

function swatch(value) {
  const box = draw("rect", { width: 10, height: 10, rx: 2 });
  box.style.fill = value;
  return make("span", {}, draw("svg", { width: 10, height: 10, "aria-hidden": "true" }, box), ` ${value}`);
}

function styled(node, style) {
  const kinds = { bold: "strong", italic: "em", strike: "s", code: "code", underline: "u" };
  return Object.entries(kinds).reduce((inner, [name, kind]) => (style[name] ? make(kind, {}, inner) : inner), node);
}

/** Something this page has no drawing for is said, not dropped. */
function odd(part) {
  return make("span.cannot", {}, `[this page cannot draw ${part.type ?? "an element without a type"}]`);
}
