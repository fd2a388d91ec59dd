// The peers: one row each, a card on a phone.

import { byId, el, fill } from "./dom.js";
import { count, percent, plural, reward, short } from "./format.js";
import { colourClass, meet } from "./palette.js";
import { focusPeer, nameLines } from "./rewards.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 124, HEIGHT = 30, EDGE = 3, SPAN = 0.3;

export function showPeers(peers) {
  meet(peers.map((peer) => peer.id));
  nameLines(peers);
  byId("peers").hidden = peers.length === 0;
  byId("peers-empty").hidden = peers.length > 0;
  fill(byId("peer-rows"), peers, (peer) => peer.id, row);
}

function row(peer) {
  const cell = (label, cls, ...children) => el("td", { role: "cell", "data-label": label, class: cls }, ...children);
  const node = el("tr", { role: "row", class: colourClass(peer.id) },
    el("th", { scope: "row", role: "rowheader" }, el("span", { class: "who" },
      el("span", { class: "dot" }), el("span", { class: "name" }, peer.name),
      el("span", { class: "mono", title: peer.id }, short(peer.id, 8, 6)))),
    cell("Latest reward", "latest", peer.reward === null ? "–" : reward(peer.reward), meter(peer.reward)),
    cell("Trend", "trend", spark(peer.spark)),
    cell("From others", "", percent(peer.share)),
    cell("Points", "", count(peer.points)),
    cell("Wins", "", count(peer.wins)),
    cell("Judge", "", reward(peer.judged)));
  node.addEventListener("pointerenter", () => focusPeer(peer.id));
  node.addEventListener("pointerleave", () => focusPeer(null));
  return node;
}

function meter(value) {
  const fillBar = el("i");
  fillBar.style.width = `${Math.max(0, Math.min(1, value ?? 0)) * 100}%`;
  return el("span", { class: "meter", "aria-hidden": "true" }, fillBar);
}

/** A line over all rounds of the peer. A flat line stays flat: the scale spans at least SPAN. */
function spark(values) {
  if (values.length < 2) return el("span", { class: "quiet" }, "after two rounds");
  const svg = document.createElementNS(SVG, "svg");
  const x = (place) => EDGE + (place * (WIDTH - 2 * EDGE)) / (values.length - 1);
  const low = Math.min(...values), span = Math.max(SPAN, Math.max(...values) - low);
  const y = (value) => HEIGHT - EDGE - ((value - low) / span) * (HEIGHT - 2 * EDGE);
  const line = part("polyline", { points: values.map((value, place) => `${x(place).toFixed(1)},${y(value).toFixed(1)}`).join(" "),
    fill: "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linejoin": "round", "vector-effect": "non-scaling-stroke" });
  for (const [name, value] of Object.entries({ class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", preserveAspectRatio: "none",
    "aria-label": `from ${reward(values[0])} to ${reward(values.at(-1))} over all its rounds` })) svg.setAttribute(name, value);
  svg.append(line);
  return svg;
}

function part(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

export function showElsewhere({ count: number, rows }) {
  const line = byId("elsewhere");
  line.hidden = number === 0;
  const named = rows.map((peer) => `${peer.name} (${count(peer.wins)})`).join(", ");
  line.textContent = `${plural(number, "peer")} elsewhere won votes of this household: ${named}${number > rows.length ? ", …" : ""}`;
}
