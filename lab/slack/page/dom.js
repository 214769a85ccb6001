/*
 * Building nodes. Everything on this page that came from outside (a message, a name of a virtual machine) becomes a
 * text node or an attribute set here: no markup is ever parsed, so no text can become markup.
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element.
 * @param {string} kind its tag with classes, as in "button.primary"
 * @param {object} attributes "on…" keys are listeners, `data` is a map of data attributes, null and false leave out
 * @param {...(Node|string|number|null|Array)} children strings become text nodes
 */
export function make(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.classList.add(...classes);
  for (const [name, value] of Object.entries(attributes)) set(node, name, value);
  return put(node, children);
}

/** Make an SVG element; attributes are plain. */
export function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  return put(node, children);
}

function set(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else if (name === "data") Object.assign(node.dataset, value);
  else if (name === "value") node.value = value;
  else node.setAttribute(name, value === true ? "" : String(value));
}

/** Append children: nodes, text, nested lists; null and false are left out. */
export function put(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

/** Replace everything inside a node. */
export function fill(node, ...children) {
  node.replaceChildren();
  return put(node, children);
}

/**
 * Bring a list of children up to date without touching those that did not change: focus, half-typed input and the
 * order a person gave to a table survive the next message.
 * @param {Element} parent
 * @param {Array<{key: string, version: string, build: function(): Element}>} wanted in order
 * @returns {boolean} whether anything changed
 */
export function reconcile(parent, wanted) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const keys = new Set(wanted.map((one) => one.key));
  const gone = [...old].filter(([key]) => !keys.has(key));
  gone.forEach(([, node]) => node.remove());
  const fresh = wanted.map((one, place) => settle(parent, one, old.get(one.key), place));
  return gone.length > 0 || fresh.some(Boolean);
}

/** Put one child into its place; answers whether it had to be built. */
function settle(parent, { key, version, build }, known, place) {
  const isFresh = known?.version !== version;
  const node = isFresh ? build() : known;
  if (isFresh) {
    node.dataset.key = key;
    node.version = version;
    const hadFocus = known?.contains(document.activeElement);
    known?.replaceWith(node);
    const target = node.matches("button") ? node : (node.querySelector("article, button") ?? node);
    if (hadFocus) target.focus({ preventScroll: true });
  }
  if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  return isFresh;
}
