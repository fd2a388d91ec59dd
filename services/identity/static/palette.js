// A colour for each peer, the same in every part of the page, in the order in which the server lists the peers.

const SLOTS = 10;
const places = new Map();

export function meet(peerIds) {
  for (const id of peerIds) if (!places.has(id)) places.set(id, places.size);
}

/** CSS class that sets --c; none for peers elsewhere. */
export const colourClass = (id) => (places.has(id) ? `peer-${places.get(id) % SLOTS}` : "");

/** Stroke of a canvas line; beyond ten peers the colours come again, dashed. */
export function stroke(id) {
  const place = places.get(id) ?? 0;
  return { stroke: css(`--peer-${place % SLOTS}`), dash: place < SLOTS ? [] : [5, 3] };
}

/** The value of a CSS custom property in the present colour scheme. */
export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Call `redraw` when the reader's system changes between light and dark. */
export const onScheme = (redraw) => matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
