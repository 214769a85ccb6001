/* Showing where something is that the tour says to press: it is brought into view, focused and ringed. */

const SHOWN = "pointed";

/** Where buttons stand, and how one gets there; each answers the element to look in. */
const PLACES = {
  World: ({ side }) => {
    side.turn("world");
    return document.getElementById("side");
  },
  Trouble: ({ troubles }) => {
    troubles.toggle(true);
    return document.getElementById("trouble");
  },
  "Act as": () => document.getElementById("people"),
  Message: () => document.getElementById("messages"),
};

/** What people read on a button: without the picture before it. */
function words(button) {
  return [...button.childNodes].filter((one) => one.ariaHidden !== "true").map((one) => one.textContent).join("");
}

/**
 * Show a button. The newest of that label is meant.
 * @param {string} place a key of PLACES
 * @param {string} label how its text begins
 * @param {{side: object, troubles: object}} parts what has to be opened for it
 * @returns {boolean} whether there is such a button now
 */
export function point(place, label, parts) {
  document.querySelectorAll(`.${SHOWN}`).forEach((one) => one.classList.remove(SHOWN));
  const found = [...PLACES[place](parts).querySelectorAll("button")].filter((one) => words(one).startsWith(label)).at(-1);
  if (!found) return false;
  found.classList.add(SHOWN);
  found.scrollIntoView({ block: "center" });
  found.focus();
  found.addEventListener("click", () => found.classList.remove(SHOWN), { once: true });
  return true;
}
