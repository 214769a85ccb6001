/* table and data_table: aligned numbers, sorting, pages. Wide tables scroll inside their own frame, never the page. */

import { fill, make } from "./dom.js";
import { richText } from "./rich.js";

const DEFAULT_PAGE = 5; // Slack's own page_size where none is given
const LONG = 30; // characters of a cell that is a sentence, or an id

/** A `table` block: the first row is the header; column_settings align and wrap. */
export function table(block, context) {
  const [head = [], ...body] = block.rows ?? [];
  const settings = block.column_settings ?? [];
  const columns = head.map((_, place) => ({
    align: settings[place]?.align ?? (numeric(body, place) ? "right" : "left"),
    wrap: settings[place]?.is_wrapped ?? false,
  }));
  const header = head.map((one, place) => make("th", { scope: "col", class: columns[place].align }, cell(one, context)));
  const rows = body.map((row) => make("tr", {}, row.map((one, place) => filled(one, columns[place], context))));
  return make(".frame", frame("Table"), make("table", {}, make("thead", {}, make("tr", {}, header)), make("tbody", {}, rows)));
}

/** A `data_table` block: caption, sortable columns, pages. */
export function dataTable(block, context) {
  const [head = [], ...body] = block.rows ?? [];
  const view = { rows: body, page: 0, size: block.page_size ?? DEFAULT_PAGE, sorted: -1, down: false };
  const columns = head.map((_, place) => ({ align: numeric(body, place) ? "right" : "left", wrap: false }));
  const tbody = make("tbody");
  const pager = make(".pager");
  const heads = head.map((one, place) => heading(one, columns[place], context, () => resort(place)));
  const draw = () => page(view, columns, block.row_header_column_index ?? 0, context, tbody, pager, draw);
  function resort(place) {
    view.down = view.sorted === place ? !view.down : false;
    Object.assign(view, { sorted: place, page: 0, rows: ordered(body, place, columns[place].align === "right", view.down) });
    heads.forEach((node, at) => node.setAttribute("aria-sort", at !== place ? "none" : view.down ? "descending" : "ascending"));
    draw();
  }
  draw();
  const whole = make("table", {}, make("caption", {}, block.caption ?? ""), make("thead", {}, make("tr", {}, heads)), tbody);
  return make(".datatable", {}, make(".frame", frame(block.caption ?? "Table"), whole), pager);
}

function frame(label) {
  return { tabindex: "0", role: "region", "aria-label": label };
}

function numeric(rows, place) {
  return rows.length > 0 && rows.every((row) => row[place]?.type === "raw_number");
}

function heading(one, column, context, sort) {
  const button = make("button.sort", { type: "button", onclick: sort }, cell(one, context));
  return make("th", { scope: "col", class: column.align, "aria-sort": "none" }, button);
}

function ordered(rows, place, asNumbers, down) {
  const by = asNumbers
    ? (a, b) => Number(a[place].value) - Number(b[place].value)
    : (a, b) => said(a[place]).localeCompare(said(b[place]), "en", { numeric: true });
  const sorted = [...rows].sort(by);
  return down ? sorted.reverse() : sorted;
}

function page(view, columns, named, context, tbody, pager, again) {
  const pages = Math.max(1, Math.ceil(view.rows.length / view.size));
  const first = view.page * view.size;
  const shown = view.rows.slice(first, first + view.size);
  fill(tbody, shown.map((row) => make("tr", {}, row.map((one, at) => filled(one, columns[at], context, at === named)))));
  const turn = (by) => () => {
    view.page += by;
    again();
  };
  const count = `${first + 1}–${first + shown.length} of ${view.rows.length}`;
  const back = make("button", { type: "button", onclick: turn(-1), disabled: view.page === 0 }, "Previous");
  const next = make("button", { type: "button", onclick: turn(1), disabled: view.page >= pages - 1 }, "Next");
  fill(pager, make("span.count", { role: "status" }, count), pages > 1 ? [back, next] : []);
}

function filled(one, column, context, isRowHeader = false) {
  const isLong = said(one).length > LONG;
  const classes = [column?.align ?? "left", column?.wrap ? "wrap" : "", isLong ? "long" : ""].filter(Boolean).join(" ");
  return make(isRowHeader ? "th" : "td", { class: classes, scope: isRowHeader ? "row" : null }, cell(one, context));
}

function cell(one, context) {
  if (one?.type === "rich_text") return richText(one, context.names);
  if (one?.type === "action_cell" && one.element) return context.control(one.element);
  if (one?.type === "raw_text" || one?.type === "raw_number") return said(one);
  return make("span.cannot", {}, `[this page cannot draw ${one?.type ?? "this cell"}]`);
}

function said(one) {
  return String(one?.text ?? one?.value ?? "");
}
