/*
 * What a person presses, chooses or types. A control knows two things to do: `click` tells the app at once (buttons,
 * menus in messages), `read` gives its value when a modal is submitted.
 */

import { make, put } from "./dom.js";
import { confirmed } from "./dialog.js";
import { lines } from "./mrkdwn.js";

/**
 * One element of a block.
 * @param {object} element as Slack's Block Kit has it
 * @param {{blockId: string, state: object, names: object, click: function(object): Promise, asks: boolean}} place
 *     `asks`: the control stands in an input block and answers when the form is submitted, not at once
 * @returns {?Element} null where there is no drawing for it
 */
export function control(element, place) {
  const builder = BUILDERS[element.type];
  if (!builder) return null;
  const node = builder(element, place, place.state?.[place.blockId]?.[element.action_id]);
  Object.assign(node.dataset, { block: place.blockId, action: element.action_id ?? "" });
  return node;
}

const BUILDERS = {
  button,
  workflow_button: button,
  static_select: select,
  multi_static_select: select,
  external_select: combobox,
  users_select: people,
  multi_users_select: people,
  channels_select: channels,
  multi_channels_select: channels,
  conversations_select: channels,
  multi_conversations_select: channels,
  overflow,
  checkboxes: (element, place, chosen) => choices("checkbox", element, place, chosen?.selected_options),
  radio_buttons: (element, place, chosen) => choices("radio", element, place, [chosen?.selected_option]),
  plain_text_input: field,
  email_text_input: (element, place, chosen) => single("email", element, place, chosen?.value),
  url_text_input: (element, place, chosen) => single("url", element, place, chosen?.value),
  number_input: number,
  datepicker: (element, place, chosen) => single("date", element, place, chosen?.selected_date ?? element.initial_date),
  timepicker: (element, place, chosen) => single("time", element, place, chosen?.selected_time ?? element.initial_time),
  datetimepicker: moment,
};

/** Ask the element's own question first, then tell the app. */
async function tell(element, place, value) {
  if (element.confirm && !(await confirmed(element.confirm, place.names))) return false;
  await place.click({ block_id: place.blockId, action_id: element.action_id, value });
  return true;
}

function button(element, place) {
  const style = element.style === "primary" || element.style === "danger" ? `.${element.style}` : "";
  const label = element.text?.text ?? element.accessibility_label ?? "";
  const node = make(`button${style}`, { type: "button", "aria-label": element.accessibility_label ?? null }, label);
  node.addEventListener("click", async () => {
    node.setAttribute("aria-busy", "true");
    node.disabled = true;
    try {
      const told = await tell(element, place, null);
      if (told && element.url) window.open(element.url, "_blank", "noopener,noreferrer");
    } finally {
      node.disabled = false;
      node.removeAttribute("aria-busy");
    }
  });
  return node;
}

function select(element, place, chosen) {
  const picked = chosen?.selected_options ?? [chosen?.selected_option ?? element.initial_option];
  const values = new Set([...picked, ...(element.initial_options ?? [])].filter(Boolean).map((one) => one.value));
  const options = (group) => (group.options ?? []).map((one) => option(one.value, one.text?.text, values));
  const grouped = (group) => make("optgroup", { label: group.label?.text ?? "" }, options(group));
  const groups = (element.option_groups ?? []).map(grouped);
  return menu(element, place, [...options(element), ...groups]);
}

let lists = 0;

/** A menu whose options the app gives: asked when it is opened, and for each letter that is typed. */
function combobox(element, place, chosen) {
  const first = chosen?.selected_option ?? element.initial_option ?? null;
  const id = `options-${(lists += 1)}`;
  const list = make("ul.options", { id, role: "listbox", hidden: true });
  const field = make("input", {
    type: "text", role: "combobox", autocomplete: "off", "aria-expanded": "false", "aria-controls": id,
    "aria-autocomplete": "list", placeholder: element.placeholder?.text ?? "Choose one", value: first?.text?.text ?? "",
  });
  const node = make(".combobox", {}, field, list);
  const at = { block_id: place.blockId, action_id: element.action_id };
  let [value, asked] = [first?.value ?? null, 0];

  const close = () => {
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
  };
  const pick = (one) => {
    [value, field.value] = [one.value, one.text.text];
    close();
    node.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const open = async () => {
    const mine = (asked += 1);
    const answer = (await place.suggest?.({ ...at, value: value ? "" : field.value })) ?? {};
    if (mine !== asked) return; // something else was typed meanwhile
    const options = answer.options ?? [];
    list.replaceChildren(...options.map((one) => choice(one, pick)));
    if (!options.length) list.append(make("li.none", {}, "No results"));
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
  };
  field.addEventListener("click", () => list.hidden && open());
  field.addEventListener("input", () => {
    value = null;
    return open();
  });
  field.addEventListener("keydown", (event) => (list.hidden && event.key === "ArrowDown" ? open() : steer(event, list, close)));
  node.addEventListener("focusout", (event) => node.contains(event.relatedTarget) || ((asked += 1), close()));
  field.addEventListener("change", (event) => event.stopPropagation()); // what was typed is no choice
  node.field = field;
  return answers(node, () => value, element, place);
}

function choice(one, pick) {
  const node = make("li", { role: "option", tabindex: "-1" }, one.text?.text ?? one.value);
  node.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus until it is clicked
  node.addEventListener("click", () => pick(one));
  node.addEventListener("keydown", (event) => {
    const next = { ArrowDown: node.nextElementSibling, ArrowUp: node.previousElementSibling }[event.key];
    if (!next && event.key !== "Enter") return;
    event.preventDefault();
    if (next) next.focus();
    else pick(one);
  });
  return node;
}

/** Up and down go through the options, Enter takes the first one, Escape closes the list and not the window. */
function steer(event, list, close) {
  const options = [...list.querySelectorAll("[role=option]")];
  if (list.hidden || !options.length) return;
  if (event.key === "Enter" || event.key === "ArrowDown") event.preventDefault();
  if (event.key === "Enter") options[0].click();
  if (event.key === "ArrowDown") options[0].focus();
  if (event.key === "Escape") [event.preventDefault(), event.stopPropagation(), close()];
}

function people(element, place) {
  return directory(element, place, place.names.users, "@");
}

function channels(element, place) {
  return directory(element, place, place.names.channels, "#");
}

function directory(element, place, names, mark) {
  const first = element.initial_user ?? element.initial_channel ?? element.initial_conversation;
  return menu(element, place, Object.entries(names).map(([id, name]) => option(id, mark + name, new Set([first]))));
}

function option(value, label, chosen) {
  return make("option", { value, selected: chosen.has(value) }, label ?? value);
}

function menu(element, place, options) {
  const several = element.type.startsWith("multi_");
  const label = element.placeholder?.text ?? (several ? "Choose" : "Choose one");
  const empty = several ? [] : [make("option", { value: "" }, label)];
  const node = make("select", { multiple: several, "aria-label": label }, empty, options);
  const given = () => (several ? [...node.selectedOptions].map((one) => one.value) : node.value || null);
  return answers(node, given, element, place);
}

function overflow(element, place) {
  const options = (element.options ?? []).map((one) => make("option", { value: one.value }, one.text?.text ?? one.value));
  const node = make("select.overflow", { "aria-label": "More actions" }, make("option", { value: "" }, "More…"), options);
  node.addEventListener("change", async () => {
    const chosen = node.value;
    node.value = "";
    if (chosen) await tell(element, place, chosen);
  });
  return node;
}

function choices(kind, element, place, chosen) {
  const initial = chosen?.some(Boolean) ? chosen : [element.initial_option, ...(element.initial_options ?? [])];
  const values = new Set(initial.filter(Boolean).map((one) => one.value));
  const name = `${place.blockId}.${element.action_id}`;
  const boxes = (element.options ?? []).map((one) => {
    const box = make("input", { type: kind, name, value: one.value, checked: values.has(one.value) });
    const more = one.description ? make("small", {}, one.description.text) : null;
    return make("label.choice", {}, box, make("span", {}, lines(one.text?.text ?? one.value), more));
  });
  const node = make("fieldset.choices", { role: kind === "radio" ? "radiogroup" : "group" }, boxes);
  const checked = () => [...node.querySelectorAll("input:checked")].map((box) => box.value);
  return answers(node, () => (kind === "radio" ? (checked()[0] ?? null) : checked()), element, place);
}

function field(element, place, chosen) {
  const attributes = { placeholder: element.placeholder?.text, minlength: element.min_length, maxlength: element.max_length };
  if (!element.multiline) return single("text", element, place, chosen?.value, attributes);
  const node = make("textarea", { rows: "4", ...attributes }, chosen?.value ?? element.initial_value ?? "");
  return answers(node, () => node.value || null, element, place);
}

function single(kind, element, place, value, attributes = {}) {
  const text = value ?? element.initial_value ?? "";
  const node = make("input", { type: kind, placeholder: element.placeholder?.text, ...attributes, value: text });
  return answers(node, () => node.value || null, element, place);
}

function number(element, place, chosen) {
  const step = element.is_decimal_allowed ? "any" : "1";
  const limits = { min: element.min_value, max: element.max_value, step, inputmode: "decimal" };
  return single("number", element, place, chosen?.value, limits);
}

function moment(element, place, chosen) {
  const seconds = chosen?.selected_date_time ?? element.initial_date_time;
  const local = seconds ? new Date((seconds - new Date().getTimezoneOffset() * 60) * 1000).toISOString().slice(0, 16) : "";
  const node = make("input", { type: "datetime-local", value: local });
  return answers(node, () => (node.value ? Math.floor(new Date(node.value) / 1000) : null), element, place);
}

/** Give a control its `read`; outside of a form, or where the app wants to know at once, a change is a click. */
function answers(node, read, element, place) {
  node.read = read;
  if (!place.asks || place.dispatches) node.addEventListener("change", () => tell(element, place, read()));
  return node;
}

/** A label, its control, its hint and what was wrong with the last answer. */
export function labelled(block, node, error, names) {
  const id = `field-${block.block_id}`;
  const optional = block.optional ? make("span.optional", {}, " (optional)") : null;
  const isSet = node.tagName === "FIELDSET";
  const label = isSet ? make("p.label", { id: `${id}-label` }) : make("label.label", { for: id });
  put(label, [lines(block.label?.text ?? ""), optional]);
  const field = node.field ?? node;
  field.removeAttribute("aria-label"); // its own would hide the block's
  if (isSet) node.setAttribute("aria-labelledby", `${id}-label`);
  else field.id = id;
  const notes = [];
  if (block.hint) notes.push(make("p.hint", { id: `${id}-hint` }, lines(block.hint.text)));
  if (error) notes.push(make("p.error", { id: `${id}-error`, role: "alert" }, error));
  if (error) field.setAttribute("aria-invalid", "true");
  if (notes.length) field.setAttribute("aria-describedby", notes.map((note) => note.id).join(" "));
  return put(make(".input"), [label, node, notes]);
}
