/*
 * data_visualization as inline SVG, drawn in the pixels there are, and again when they change: the text keeps its size
 * on a phone. Bars lie on their side, so that the names of volumes can be read. The values stand in the drawing and in
 * its label: a length is never the only place of a number.
 */

import { draw, fill, make } from "./dom.js";

const ROW = 26;
const HEIGHT = 220;
const TONES = 6;
const SHORTEST = 60; // pixels that the longest bar has left on a phone, beside labels of 20 characters

/** A data_visualization block: bar, line, area or pie. */
export function chart(block, cannot) {
  const { chart: wanted = {}, title = "" } = block;
  const drawing = { bar: bars, line: curves, area: curves, pie: slices }[wanted.type];
  if (!drawing) return cannot(`data_visualization of the type ${wanted.type}`);
  const series = (wanted.series ?? []).map((one) => ({ name: one.name ?? "", data: one.data ?? [] }));
  const axis = wanted.axis_config ?? {};
  const unit = axis.y_label ? make("span.unit", {}, axis.y_label) : null;
  const keys = series.map((one, place) => make("span", {}, swatch(place), ` ${one.name}`));
  const legend = series.length > 1 ? make(".legend", {}, keys) : null;
  const canvas = make(".canvas");
  new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (width === canvas.width || width < 1) return;
    canvas.width = width;
    fill(canvas, drawing({ wanted, series, axis, title, width }));
  }).observe(canvas);
  return make("figure.chart", {}, make("figcaption", {}, title, unit), legend, canvas);
}

function tone(place) {
  return place % TONES;
}

function swatch(place) {
  const box = draw("rect", { width: 10, height: 10, rx: 2, class: `fill${tone(place)}` });
  return draw("svg", { width: 10, height: 10, "aria-hidden": "true" }, box);
}

function picture(width, height, says, ...content) {
  return draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": says }, ...content);
}

/** The labels of the x axis in order: categories where given, else the labels of the first series. */
function labelsOf(axis, series) {
  return axis.categories ?? (series[0]?.data ?? []).map((point) => point.label);
}

function valueOf(one, label) {
  return Number(one.data.find((point) => point.label === label)?.value ?? 0);
}

function number(value) {
  return Number(value).toLocaleString("en", { maximumFractionDigits: 2 });
}

function describe(title, labels, series) {
  const said = labels.map((label) => `${label} ${series.map((one) => number(valueOf(one, label))).join(", ")}`);
  return `${title}: ${said.join("; ")}`;
}

/** A series whose every value is the same, beside others, is a threshold: one dashed line instead of equal bars. */
function isThreshold(one, place) {
  return place > 0 && one.data.length > 1 && new Set(one.data.map((point) => point.value)).size === 1;
}

function bars({ series, axis, title, width }) {
  const labels = labelsOf(axis, series);
  const toned = series.map((one, place) => ({ ...one, tone: tone(place), limit: isThreshold(one, place) }));
  const solid = toned.filter((one) => !one.limit);
  const most = Math.max(...series.flatMap((one) => one.data.map((point) => Number(point.value))), 0) || 1;
  const left = Math.min(Math.max(...labels.map(textWidth), 0) + 14, width - SHORTEST - 58);
  const scale = { left, most, room: width - left - 58, group: ROW * solid.length };
  const rows = labels.map((label, place) => row(label, place * scale.group, solid, scale));
  const height = labels.length * scale.group;
  const limits = toned.filter((one) => one.limit).map((one) => limit(one, scale, height));
  return picture(width, height, describe(title, labels, solid), ...rows, ...limits);
}

/** How wide a label is drawn, in pixels: as the page's own font has it. */
function textWidth(text) {
  const brush = (textWidth.brush ??= document.createElement("canvas").getContext("2d"));
  brush.font = `14px ${getComputedStyle(document.body).fontFamily}`;
  return Math.ceil(brush.measureText(text).width);
}

/** A label at the end of its room, squeezed where it is longer than that. */
function nameOf(label, y, left) {
  const room = left - 14;
  const squeezed = textWidth(label) > room ? { textLength: room, lengthAdjust: "spacingAndGlyphs" } : {};
  return draw("text", { x: left - 10, y, class: "end middle", ...squeezed }, label);
}

function row(label, top, solid, scale) {
  const drawn = solid.flatMap((one, place) => {
    const value = valueOf(one, label);
    const long = Math.max((Math.max(value, 0) / scale.most) * scale.room, 2); // nothing at all must still be seen
    const y = top + place * ROW + 4;
    const bar = draw("rect", { x: scale.left, y, width: long, height: ROW - 8, rx: 3, class: `fill${one.tone}` });
    return [bar, draw("text", { x: scale.left + long + 7, y: y + (ROW - 8) / 2, class: "value middle" }, number(value))];
  });
  return draw("g", {}, nameOf(label, top + scale.group / 2, scale.left), ...drawn);
}

function limit(one, scale, height) {
  const x = scale.left + (Number(one.data[0].value) / scale.most) * scale.room;
  const line = draw("line", { x1: x, x2: x, y1: 0, y2: height, class: `limit stroke${one.tone}` });
  return draw("g", {}, line, draw("title", {}, `${one.name}: ${number(one.data[0].value)}`));
}

function curves({ wanted, series, axis, title, width }) {
  const labels = labelsOf(axis, series);
  const all = series.flatMap((one) => one.data.map((point) => Number(point.value)));
  const [least, most] = [Math.min(0, ...all), Math.max(...all, 1)];
  const x = (place) => 52 + (place * (width - 72)) / Math.max(labels.length - 1, 1);
  const y = (value) => HEIGHT - 34 - ((value - least) / (most - least)) * (HEIGHT - 54);
  const grid = [least, (least + most) / 2, most].map((value) => gridLine(value, y(value), width));
  const lines = series.map((one, place) => curve(one, tone(place), labels, x, y, wanted.type === "area" ? y(least) : null));
  return picture(width, HEIGHT, describe(title, labels, series), ...grid, ...lines, ...ticks(labels, x, width));
}

function gridLine(value, y, width) {
  const line = draw("line", { x1: 52, x2: width - 20, y1: y, y2: y, class: "grid" });
  return draw("g", {}, line, draw("text", { x: 44, y, class: "end middle" }, number(value)));
}

function ticks(labels, x, width) {
  const widest = Math.max(...labels.map((label) => label.length), 1) * 8 + 16;
  const every = Math.ceil((labels.length * widest) / (width - 52)); // more would run into each other
  const texts = labels.map((label, place) => draw("text", { x: x(place), y: HEIGHT - 10, class: "centre" }, label));
  return texts.filter((_, place) => place % every === 0);
}

function curve(one, colour, labels, x, y, floor) {
  const points = labels.map((label, at) => [x(at), y(valueOf(one, label))]);
  const path = points.map(([px, py], at) => `${at ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join("");
  const closed = floor === null || !points.length ? null : `${path}L${points.at(-1)[0]} ${floor}L${points[0][0]} ${floor}Z`;
  const area = closed ? [draw("path", { d: closed, class: `area fill${colour}` })] : [];
  const dots = points.map(([cx, cy]) => draw("circle", { cx, cy, r: 3, class: `fill${colour}` }));
  return draw("g", {}, ...area, draw("path", { d: path, class: `curve stroke${colour}` }), ...dots);
}

function slices({ wanted, title, width }) {
  const segments = wanted.segments ?? [];
  const sum = segments.reduce((total, one) => total + Number(one.value), 0) || 1;
  let turn = -Math.PI / 2;
  const shapes = segments.map((one, place) => {
    const from = turn;
    turn += (Number(one.value) / sum) * 2 * Math.PI;
    return draw("path", { d: wedge(from, turn), class: `fill${tone(place)}` });
  });
  const names = segments.flatMap((one, place) => [
    draw("rect", { x: 164, y: 20 + place * 26, width: 12, height: 12, rx: 2, class: `fill${tone(place)}` }),
    draw("text", { x: 184, y: 26 + place * 26, class: "middle" }, `${one.label}: ${number(one.value)}`),
  ]);
  const says = `${title}: ${segments.map((one) => `${one.label} ${number(one.value)}`).join("; ")}`;
  return picture(width, Math.max(160, segments.length * 26 + 20), says, ...shapes, ...names);
}

function wedge(from, to) {
  const point = (angle) => `${(78 + 70 * Math.cos(angle)).toFixed(2)} ${(78 + 70 * Math.sin(angle)).toFixed(2)}`;
  if (to - from > 2 * Math.PI - 0.001) return "M78 8A70 70 0 1 1 77.9 8Z"; // an arc from a point to itself draws nothing
  return `M78 78L${point(from)}A70 70 0 ${to - from > Math.PI ? 1 : 0} 1 ${point(to)}Z`;
}
