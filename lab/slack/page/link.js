/* The wire to this very server: JSON over fetch, changes over server-sent events. Nothing else is ever contacted. */

const underWay = new Set();
let over = false; // the server has said that it ends: whatever is asked now would find a closed port

/** GET a JSON document. Raises Error with a sentence. */
export function get(path) {
  return ask(path, { headers: { Accept: "application/json" } });
}

/** POST JSON, get JSON. Raises Error with a sentence. */
export function post(path, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

async function ask(path, options) {
  if (over) throw new Error("The demo has ended.");
  const answer = fetch(path, options).then(answered);
  underWay.add(answer);
  try {
    return await answer;
  } finally {
    underWay.delete(answer);
  }
}

async function answered(response) {
  if (response.ok) return response.json();
  const says = (await response.text()).slice(0, 300);
  throw new Error(`The practice server answered ${response.status}: ${says}`);
}

/**
 * Follow changes until `stop` is called. The browser reconnects by itself and says which event it saw last, unless the
 * server has said that it ends: it is let go when it has answered what is under way, and asked nothing more.
 * @param {string} path
 * @param {function(object)} heard one change
 * @param {function(boolean)} linked whether the server can be heard at the moment
 * @param {function()} ended the server ends
 * @returns {function()} stop
 */
export function follow(path, heard, linked, ended) {
  const source = new EventSource(path);
  source.addEventListener("message", async (event) => {
    const change = JSON.parse(event.data);
    if (change.kind !== "over") return void heard(change);
    over = true;
    ended();
    await Promise.allSettled(underWay);
    source.close();
  });
  source.addEventListener("open", () => linked(true));
  source.addEventListener("error", () => (over ? source.close() : linked(false)));
  return () => source.close();
}

/** After an end: whether a server is there again. Asks once. */
export async function returned(path) {
  over = false;
  try {
    await get(path);
  } catch {
    over = true;
  }
  return !over;
}
