/*
 * Windows over the page: an element's own confirm question, the app's modals, the page's own questions.
 * All are <dialog>, so the browser keeps the focus inside and gives it back afterwards.
 */

import { make } from "./dom.js";
import { textObject } from "./mrkdwn.js";

const NO_NAMES = { users: {}, groups: {}, channels: {} };

/**
 * Ask a question with two answers; Escape and the second button mean no.
 * @param {{title: object, text: object, confirm: object, deny: object, style: ?string}} question Slack's confirm object
 * @returns {Promise<boolean>}
 */
export function confirmed(question, names = NO_NAMES) {
  const style = question.style === "danger" ? "danger" : "primary";
  const yes = make(`button.${style}`, { value: "yes" }, question.confirm?.text ?? "Yes");
  const no = make("button", { value: "no", autofocus: true }, question.deny?.text ?? "No");
  const form = make(
    "form",
    { method: "dialog" },
    make("h2", { id: "confirm-title" }, question.title?.text ?? "Are you sure?"),
    make(".window-body", {}, textObject(question.text, names)),
    make("footer", {}, no, yes),
  );
  const dialog = make("dialog.confirm", { "aria-labelledby": "confirm-title" }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

/** The page's own question, in plain words. */
export function asked(title, text, confirm, deny) {
  const words = (content) => ({ type: "plain_text", text: content });
  return confirmed({ title: words(title), text: words(text), confirm: words(confirm), deny: words(deny) });
}
