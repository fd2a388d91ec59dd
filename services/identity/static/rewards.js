// Main chart: a thin line for each peer, a bold one for the smoothed mean of all.

import { axis, Chart, wholeOnly } from "./chart.js";
import { byId, el } from "./dom.js";
import { count, reward } from "./format.js";
import { colourClass, css, stroke } from "./palette.js";

const SHOWN = 8; // peers in the tip

const box = byId("rewards");
const tip = el("div", { class: "tip", role: "status", hidden: "" });
const names = new Map();
const ids = (section) => Object.keys(section.lines);

const chart = new Chart(box, {
  shape: ids,
  rows: (section) => [section.rounds, ...ids(section).map((id) => section.lines[id]), section.mean],
  build: (section) => ({
    legend: { show: false },
    focus: { alpha: 0.18 },
    cursor: { y: false, drag: { setScale: false, x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: false, range: (_, min, max) => (min === max ? [min - 1, max + 1] : [min, max]) }, y: { range: yRange } },
    axes: [axis(wholeOnly, 32), axis((value) => value.toFixed(value % 0.1 > 0.001 && value % 0.1 < 0.099 ? 2 : 1), 42)],
    series: [{}, ...ids(section).map(thin), { stroke: css("--ink"), width: 3, points: { size: 6 } }],
    hooks: { setCursor: [showTip] },
  }),
});

function thin(id) {
  return { ...stroke(id), width: 1.25, alpha: 0.75, spanGaps: true, points: { size: 4 } };
}

/** From 0, or below where rewards are negative, to a little above the best. */
function yRange(_, low, high) {
  return [Math.min(0, low ?? 0), Math.max(0.1, Math.ceil((high ?? 1) * 10.4) / 10)];
}

function showTip(plot) {
  const { idx, left } = plot.cursor;
  const section = chart.section;
  tip.hidden = idx === null || idx === undefined || left < 0 || !section;
  if (tip.hidden) return;
  const best = ids(section).map((id) => [id, section.lines[id][idx]]).filter(([, value]) => value !== null);
  best.sort((a, b) => b[1] - a[1]);
  tip.replaceChildren(
    el("p", { class: "head" }, `Round ${count(section.rounds[idx])}`, el("b", {}, reward(section.mean[idx]))),
    ...best.slice(0, SHOWN).map(([id, value]) => el("p", { class: colourClass(id) },
      el("span", { class: "dot" }), names.get(id) ?? id, el("b", {}, reward(value)))),
    best.length > SHOWN ? el("p", { class: "quiet" }, `and ${best.length - SHOWN} more`) : "",
  );
  const at = left + plot.over.offsetLeft, room = box.clientWidth - at > tip.offsetWidth + 24;
  tip.style.left = `${Math.max(0, room ? at + 14 : at - tip.offsetWidth - 14)}px`;
  tip.style.top = "10px";
}

/** Left and right arrows move through the rounds. */
box.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || !chart.plot) return;
  event.preventDefault();
  const rounds = chart.section.rounds, from = chart.plot.cursor.idx ?? rounds.length;
  const to = Math.min(rounds.length - 1, Math.max(0, from + step));
  chart.plot.setCursor({ left: chart.plot.valToPos(rounds[to], "x"), top: 20 });
});
box.addEventListener("blur", () => { tip.hidden = true; });

/** Bring one peer's line to the front, or none (null). */
export function focusPeer(id) {
  if (!chart.plot) return;
  const place = id === null ? -1 : ids(chart.section).indexOf(id);
  chart.plot.setSeries(place < 0 ? null : place + 1, { focus: place >= 0 });
}

export const nameLines = (peers) => peers.forEach((peer) => names.set(peer.id, peer.name));

export function showRewards(section) {
  const any = section.rounds.length > 0;
  box.hidden = byId("rewards-legend").hidden = !any;
  byId("rewards-empty").hidden = any;
  if (!any) return;
  chart.draw(section);
  if (tip.parentNode !== box) box.append(tip);
  const last = section.rounds.length - 1;
  box.setAttribute("aria-label", `Chart of mean reward by round, ${ids(section).length} peers, rounds `
    + `${section.rounds[0]} to ${section.rounds[last]}. The smoothed mean went from ${reward(section.mean[0])} to `
    + `${reward(section.mean[last])}. Arrow keys move through the rounds.`);
}
