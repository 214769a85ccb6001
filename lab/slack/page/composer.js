/* Where a person types. Enter sends; "/" lists the commands; arrows choose; Tab or Enter takes; Escape closes. */

import { fill, make } from "./dom.js";

let count = 0;

/** A message box. Its `show(target)` says where lines go; its `draft(line)` puts words there. */
export class Composer {
  /**
   * @param {Element} parent
   * @param {{id: string, send: function(string): Promise<object>, commands: function(): object[]}} wiring
   */
  constructor(parent, { id, send, commands }) {
    Object.assign(this, { send, commands, matches: [], active: -1, sent: [], recalled: 0, target: "", offered: "" });
    this.list = make("ul.suggestions", { id: `${id}-list`, role: "listbox", "aria-label": "Commands", hidden: true });
    this.hint = make("p.usage", { id: `${id}-hint`, role: "status" });
    this.problem = make("p.trouble", { role: "alert", hidden: true });
    this.status = make("p.starting", { role: "status", hidden: true });
    this.text = this.box(id);
    this.button = make("button.primary.send", { type: "submit" }, "Send");
    const row = make(".row", {}, this.text, this.button);
    const form = make("form.composer", { autocomplete: "off" }, this.list, this.problem, this.status, row, this.hint);
    form.addEventListener("submit", (event) => this.submit(event));
    parent.append(form);
  }

  box(id) {
    const node = make("textarea", {
      id: `${id}-text`,
      rows: "1",
      maxlength: "12000",
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": `${id}-list`,
      "aria-describedby": `${id}-hint`,
      spellcheck: "false",
    });
    node.addEventListener("input", () => this.typed());
    node.addEventListener("keydown", (event) => this.key(event));
    node.addEventListener("blur", () => this.close());
    return node;
  }

  /** Say where lines go. The box keeps what was half typed when only the label changes. */
  show(label) {
    if (this.target === label) return;
    this.target = label;
    this.text.setAttribute("aria-label", label);
    this.text.placeholder = label;
    this.problem.hidden = true;
  }

  /** Say above the box what keeps lines from being sent; "" where nothing does. */
  say(words) {
    this.status.hidden = !words;
    if (this.status.textContent !== words) this.status.textContent = words;
  }

  /** Put a line into the box unless somebody has written there: what was typed stays. */
  offer(line) {
    if (this.text.value && this.text.value !== this.offered) return;
    this.offered = line;
    this.draft(line, true);
  }

  /** Put words into an empty box and the cursor behind them. */
  draft(line, force = false) {
    if (this.text.value && !force) return;
    this.text.value = line;
    this.grow();
    this.usage();
    this.text.focus();
    this.text.setSelectionRange(line.length, line.length);
  }

  typed() {
    this.grow();
    const word = this.text.value;
    this.matches = /^\/\S*$/.test(word) ? this.commands().filter((one) => one.command.startsWith(word.toLowerCase())) : [];
    this.active = this.matches.length ? 0 : -1;
    this.drawList();
    this.usage();
  }

  grow() {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(this.text.scrollHeight + 2, 200)}px`;
  }

  /** Below the box: how the command that stands there is used. */
  usage() {
    const word = this.text.value.match(/^\/\S+/)?.[0];
    const command = this.commands().find((one) => one.command === word);
    if (!command) return void fill(this.hint);
    const whole = `${command.command} ${command.usage_hint ?? ""}`.trim();
    return void fill(this.hint, make("code", {}, whole), ` ${command.description ?? ""}`);
  }

  drawList() {
    const open = this.matches.length > 0;
    this.list.hidden = !open;
    this.text.setAttribute("aria-expanded", String(open));
    fill(this.list, this.matches.map((command, place) => this.item(command, place)));
    const active = this.list.children[this.active];
    if (active) this.text.setAttribute("aria-activedescendant", active.id);
    else this.text.removeAttribute("aria-activedescendant");
    active?.scrollIntoView({ block: "nearest" });
  }

  item(command, place) {
    const id = `suggestion-${(count += 1)}`;
    const node = make("li", { id, role: "option", "aria-selected": String(place === this.active) });
    node.addEventListener("mousedown", (event) => {
      event.preventDefault(); // the box keeps the focus
      this.take(place);
    });
    const usage = make("span.hint", {}, command.usage_hint ?? "");
    return fill(node, make("strong", {}, command.command), " ", usage, make("small", {}, command.description ?? ""));
  }

  key(event) {
    if (event.isComposing) return;
    const handled = this.matches.length ? this.keyInList(event) : this.keyInBox(event);
    if (handled) event.preventDefault();
  }

  keyInList(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) {
      this.active = (this.active + moves[event.key] + this.matches.length) % this.matches.length;
      this.drawList();
    } else if (event.key === "Escape") this.close();
    else if (event.key === "Tab" && !event.shiftKey) this.take(this.active);
    else if (event.key === "Enter" && !event.shiftKey) this.takeOrSend();
    else return false;
    return true;
  }

  keyInBox(event) {
    if (event.key === "Enter" && !event.shiftKey) this.submit(event);
    else if (event.key === "ArrowUp" && (!this.text.value || this.recalled) && this.sent.length) this.recall(1);
    else if (event.key === "ArrowDown" && this.recalled) this.recall(-1);
    else return false;
    return true;
  }

  /** Earlier lines, as in a terminal. */
  recall(by) {
    this.recalled = Math.max(0, Math.min(this.sent.length, this.recalled + by));
    const line = this.recalled ? this.sent[this.sent.length - this.recalled] : "";
    this.text.value = line;
    this.grow();
    this.usage();
  }

  takeOrSend() {
    const whole = this.matches[this.active]?.command === this.text.value;
    if (whole && !/^</.test(this.matches[this.active].usage_hint ?? "")) this.submit();
    else this.take(this.active);
  }

  take(place) {
    this.text.value = `${this.matches[place].command} `;
    this.close();
    this.usage();
    this.text.focus();
  }

  close() {
    this.matches = [];
    this.active = -1;
    this.drawList();
  }

  async submit(event) {
    event?.preventDefault();
    const line = this.text.value.trim();
    if (!line) return;
    this.close();
    this.problem.hidden = true;
    this.sent.push(line);
    this.recalled = 0;
    this.text.value = "";
    this.grow();
    this.usage();
    const answer = await this.send(line);
    if (answer.ok) return;
    if (!this.text.value) this.draft(line);
    if (line.startsWith("/") && !answer.broken) return; // Slackbot has said in the channel what went wrong
    fill(this.problem, answer.error ?? "That was not sent.");
    this.problem.hidden = false;
  }
}
