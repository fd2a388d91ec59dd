// Main chart: a thin line for each own node, a bold one for their smoothed mean, a dashed one for the whole swarm's.

import { axis, Chart, wholeOnly } from "./chart.js";
import { byId, el } from "./dom.js";
import { compact, count, reward } from "./format.js";
import { colourClass, css, stroke } from "./palette.js";

const SHOWN = 8; // nodes in the tip
const KINDS = {
  reward: { title: "Mean reward by round", text: reward },
  length: { title: "Tokens per completion by round", text: (value) => (value === null ? "–" : value.toFixed(1)) },
  loss: { title: "Loss by round", text: (value) => (value === null ? "–" : value.toFixed(4)) },
};

const box = byId("curves");
const tip = el("div", { class: "tip", role: "status", hidden: "" });
const names = new Map();
const ids = (section) => Object.keys(section.lines);
let show = "reward", latest = null;

const chart = new Chart(box, {
  shape: (section) => [show, ids(section)],
  rows: (section) => [section.rounds, ...ids(section).map((id) => section.lines[id]), section.swarm, section.mean],
  build: (section) => ({
    legend: { show: false },
    focus: { alpha: 0.18 },
    cursor: { y: false, drag: { setScale: false, x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: false, range: (_, min, max) => (min === max ? [min - 1, max + 1] : [min, max]) }, y: { range: yRange } },
    axes: [axis(wholeOnly, 32), axis(compact, 46)],
    series: [{}, ...ids(section).map(thin),
      { stroke: css("--swarm"), width: 2.5, dash: [7, 4], spanGaps: true, points: { size: 5 } },
      { stroke: css("--ink"), width: 3, spanGaps: true, points: { size: 6 } }],
    hooks: { setCursor: [showTip] },
  }),
});

function thin(id) {
  return { ...stroke(id), width: 1.25, alpha: 0.7, spanGaps: true, points: { size: 4 } };
}

/** Rewards and lengths from 0, or below where there are negative ones, to a little above the highest. */
function yRange(_, low, high) {
  if (show === "reward") return [Math.min(0, low ?? 0), Math.max(0.1, Math.ceil((high ?? 1) * 10.4) / 10)];
  const top = high ?? 1, bottom = Math.min(0, low ?? 0), room = Math.max((top - bottom) * 0.06, 1e-4);
  return [bottom < 0 ? bottom - room : 0, top + room];
}

function showTip(plot) {
  const { idx, left } = plot.cursor;
  const section = chart.section;
  tip.hidden = idx === null || idx === undefined || left < 0 || !section;
  if (tip.hidden) return;
  const { text } = KINDS[show];
  const best = ids(section).map((id) => [id, section.lines[id][idx]]).filter(([, value]) => value !== null);
  best.sort((a, b) => b[1] - a[1]);
  const swarm = section.swarm[idx];
  tip.replaceChildren(
    el("p", { class: "head" }, `Round ${count(section.rounds[idx])}`, el("b", {}, text(section.mean[idx]))),
    ...best.slice(0, SHOWN).map(([id, value]) => el("p", { class: colourClass(id) },
      el("span", { class: "dot" }), names.get(id) ?? id, el("b", {}, text(value)))),
    best.length > SHOWN ? el("p", { class: "quiet" }, `and ${best.length - SHOWN} more`) : "",
    swarm === null || swarm === undefined ? "" : el("p", { class: "swarm" }, el("span", { class: "dot" }), "whole swarm", el("b", {}, text(swarm))),
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

/** Bring one node's line to the front, or none (null). */
export function focusPeer(id) {
  if (!chart.plot) return;
  const place = id === null ? -1 : ids(chart.section).indexOf(id);
  chart.plot.setSeries(place < 0 ? null : place + 1, { focus: place >= 0 });
}

export const nameLines = (peers) => peers.forEach((peer) => names.set(peer.id, peer.name));

export function showCurves(curves) {
  latest = curves;
  const section = curves[show], any = section.rounds.length > 0;
  byId("h-curves").textContent = KINDS[show].title;
  box.hidden = byId("curves-legend").hidden = !any;
  byId("curves-switch").hidden = !Object.values(curves).some((curve) => curve.rounds.length > 0);
  byId("curves-empty").hidden = any;
  byId("curves-legend").querySelector(".key-swarm").hidden = !section.swarm.some((value) => value !== null);
  if (!any) return;
  chart.draw(section);
  if (tip.parentNode !== box) box.append(tip);
  const { title, text } = KINDS[show], own = section.mean.filter((value) => value !== null);
  const went = own.length ? ` The smoothed mean of my nodes went from ${text(own[0])} to ${text(own.at(-1))}.` : "";
  box.setAttribute("aria-label", `Chart: ${title.toLowerCase()}, ${ids(section).length} nodes, rounds ${section.rounds[0]} to `
    + `${section.rounds.at(-1)}.${went} Arrow keys move through the rounds.`);
}

for (const button of document.querySelectorAll("[data-curve]")) {
  button.addEventListener("click", () => {
    show = button.dataset.curve;
    tip.hidden = true;
    for (const other of document.querySelectorAll("[data-curve]")) other.setAttribute("aria-pressed", String(other === button));
    if (latest) showCurves(latest);
  });
}
