/*
 * Block Kit, drawn. Every block the bot can send has a drawing here; one that has none is shown as a box that says so,
 * because an answer that silently loses a part is worse than an ugly one.
 */

import { chart } from "./chart.js";
import { control, labelled } from "./controls.js";
import { make } from "./dom.js";
import { lines, link, textObject } from "./mrkdwn.js";
import { richText } from "./rich.js";
import { dataTable, table } from "./table.js";

const STATUS = { pending: "Waiting", in_progress: "Running", complete: "Done", error: "Error" };
const MARKS = { pending: "○", in_progress: "◐", complete: "✓", error: "!" };

/**
 * A list of blocks.
 * @param {object[]} blocks
 * @param {{names: object, state: object, errors: ?object, click: function(object): Promise}} surface a message or view
 * @returns {Element[]} one for each block
 */
export function drawBlocks(blocks, surface) {
  return (blocks ?? []).map((block) => {
    const node = guarded(block, surface);
    node.classList.add("block");
    node.dataset.kind = block?.type ?? "";
    return node;
  });
}

/** A malformed block must not take the whole answer with it. */
function guarded(block, surface) {
  try {
    return (KINDS[block.type] ?? ((unknown) => cannot(unknown.type)))(block, surface);
  } catch (error) {
    console.error(error);
    return cannot(`this ${block?.type ?? "block"}: ${error.message}`);
  }
}

/** What is shown in the place of something without a drawing. */
export function cannot(what) {
  return make(".cannot", { role: "note" }, `This page cannot draw ${what ?? "a block without a type"}.`);
}

const KINDS = {
  header: (block) => make("h3.header", {}, lines(block.text?.text ?? "")),
  section,
  context: (block, surface) => make(".context", {}, (block.elements ?? []).map((one) => small(one, surface))),
  actions: (block, surface) => make(".actions", {}, (block.elements ?? []).map((one) => element(one, block, surface))),
  divider: () => make("hr"),
  rich_text: (block, surface) => richText(block, surface.names),
  table: (block, surface) => table(block, tableContext(block, surface)),
  data_table: (block, surface) => dataTable(block, tableContext(block, surface)),
  data_visualization: (block) => chart(block, cannot),
  plan,
  task_card: (block, surface) => task(block, surface, "div"),
  image: (block) => image(block, block.title?.text),
  alert,
  input,
  markdown: (block) => make(".markdown", {}, make("pre.block", {}, block.text ?? "")),
  container,
};

function section(block, surface) {
  const text = block.text ? make(".text", {}, textObject(block.text, surface.names)) : null;
  const fields = (block.fields ?? []).map((one) => make(".field", {}, textObject(one, surface.names)));
  const body = make(".body", {}, text, fields.length ? make(".fields", {}, fields) : null);
  const side = block.accessory ? make(".accessory", {}, element(block.accessory, block, surface)) : null;
  return make(".section", {}, body, side);
}

function small(one, surface) {
  if (one.type === "image") return image(one);
  if (one.type === "mrkdwn" || one.type === "plain_text") return make("span", {}, textObject(one, surface.names));
  return cannot(one.type);
}

function element(one, block, surface) {
  if (one.type === "image") return image(one);
  return control(one, place(block, surface)) ?? cannot(one.type);
}

function place(block, surface, more = {}) {
  return { blockId: block.block_id, state: surface.state, names: surface.names, click: surface.click, suggest: surface.suggest, asks: false, ...more };
}

function tableContext(block, surface) {
  return { names: surface.names, control: (one) => element(one, block, surface) };
}

/** Only this server's own pictures are loaded; any other is named, with its description. */
function image(block, title = "") {
  const own = block.image_url && new URL(block.image_url, location.href).origin === location.origin;
  const alt = block.alt_text ?? "";
  const caption = title ? make("figcaption", {}, title) : null;
  if (own) return make("figure.image", {}, caption, make("img", { src: block.image_url, alt, loading: "lazy" }));
  const instead = `Picture, not loaded from outside: ${alt}`;
  return make("figure.image", {}, caption, make("p.unloaded", { role: "img", "aria-label": alt }, instead));
}

function plan(block, surface) {
  const tasks = (block.tasks ?? []).map((one) => task(one, surface, "li"));
  return make(".plan", {}, make("p.plan-title", {}, block.title ?? ""), make("ol.tasks", {}, tasks));
}

function task(block, surface, tag) {
  const status = block.status ?? "pending";
  const mark = make("span.mark", { "aria-hidden": "true" }, MARKS[status] ?? "?");
  const title = make("span.task-title", {}, block.title ?? "");
  const word = make("span.status", {}, STATUS[status] ?? status);
  const more = [block.details, block.output].filter(Boolean).map((part) => richText(part, surface.names));
  const sources = (block.sources ?? []).map((one) => make("span", {}, link(one.url ?? "", one.text ?? ""), " "));
  return make(`${tag}.task`, { data: { status } }, make(".task-line", {}, mark, title, word), more, sources);
}

function alert(block, surface) {
  const level = block.level ?? "default";
  const word = level === "default" ? null : make("strong", {}, `${level[0].toUpperCase()}${level.slice(1)}: `);
  const text = typeof block.text === "string" ? lines(block.text) : textObject(block.text, surface.names);
  return make(".alert", { role: level === "error" ? "alert" : "note", data: { level } }, word, text);
}

function input(block, surface) {
  const node = control(block.element ?? {}, place(block, surface, { asks: true, dispatches: block.dispatch_action }));
  if (!node) return cannot(block.element?.type);
  return labelled(block, node, surface.errors?.[block.block_id]);
}

function container(block, surface) {
  const title = block.rich_text_title ? richText(block.rich_text_title, surface.names) : lines(block.title?.text ?? "");
  const subtitle = block.subtitle ? make("small", {}, textObject(block.subtitle, surface.names)) : null;
  const inside = make(".inside", {}, drawBlocks(block.child_blocks, surface));
  if (!block.is_collapsible) return make(".container", {}, make("p.container-title", {}, title, subtitle), inside);
  const summary = make("summary", {}, title, subtitle);
  return make("details.container", { open: !block.default_collapsed }, summary, inside);
}

/** What a form says when it is submitted: {block_id: {action_id: value}} of all its input blocks. */
export function valuesOf(form) {
  const values = {};
  for (const node of form.querySelectorAll(".input [data-action]")) {
    values[node.dataset.block] = { ...values[node.dataset.block], [node.dataset.action]: node.read() };
  }
  return values;
}
