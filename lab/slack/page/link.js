/* The wire to this very server: JSON over fetch, changes over server-sent events. Nothing else is ever contacted. */

/** GET a JSON document. Raises Error with a sentence. */
export async function get(path) {
  return answered(await fetch(path, { headers: { Accept: "application/json" } }));
}

/** POST JSON, get JSON. Raises Error with a sentence. */
export async function post(path, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  return answered(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function answered(response) {
  if (response.ok) return response.json();
  const says = (await response.text()).slice(0, 300);
  throw new Error(`The practice server answered ${response.status}: ${says}`);
}

/**
 * Follow changes until `stop` is called. The browser reconnects by itself and says which event it saw last.
 * @param {string} path
 * @param {function(object)} heard one change
 * @param {function(boolean)} linked whether the server can be heard at the moment
 * @returns {function()} stop
 */
export function follow(path, heard, linked) {
  const source = new EventSource(path);
  source.addEventListener("message", (event) => heard(JSON.parse(event.data)));
  source.addEventListener("open", () => linked(true));
  source.addEventListener("error", () => linked(false));
  return () => source.close();
}
