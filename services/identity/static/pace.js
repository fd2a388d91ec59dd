// Second chart: stacked bars of the latest rounds, by phase in seconds or by origin in question groups.

import { axis, Chart, wholeOnly } from "./chart.js";
import { byId, el, fill } from "./dom.js";
import { css } from "./palette.js";

const KINDS = {
  seconds: { parts: ["generate", "exchange", "update", "checkpoint"], text: (value) => `${value.toFixed(2)} s` },
  groups: { parts: ["local", "external"], text: (value) => value.toFixed(1) },
};
const LABELS = { local: "own rollouts", external: "from others" };

const box = byId("pace");
let show = "seconds", latest = null;

/** Running sums, the highest first: each bar is drawn over the one before. */
function stacked(section) {
  const { parts } = KINDS[section.show];
  const sums = section.rounds.map(() => 0);
  const layers = parts.map((part) => section[section.show][part].map((value, place) => (sums[place] += value)));
  return [section.rounds, ...layers.reverse()];
}

const chart = new Chart(box, {
  shape: (section) => section.show,
  rows: stacked,
  build: (section) => ({
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: (_, min, max) => [min - 0.6, Math.max(max, min + 9) + 0.6] }, y: { range: (_, low, high) => [0, (high || 1) * 1.08] } },
    axes: [axis(wholeOnly, 30), axis((value) => String(Math.round(value * 100) / 100), 38)],
    series: [{}, ...KINDS[section.show].parts.map((_, place) => ({
      fill: css(`--bar-${place}`), width: 0, points: { show: false },
      paths: globalThis.uPlot.paths.bars({ size: [0.72, 22], radius: 0.12 }),
    })).reverse()],
  }),
});

export function showPace(section) {
  latest = section;
  const any = section.rounds.length > 0;
  for (const id of ["pace", "pace-legend", "pace-switch"]) byId(id).hidden = !any;
  byId("pace-empty").hidden = any;
  if (!any) return;
  chart.draw({ ...section, show });
  const { parts, text } = KINDS[show];
  const rows = parts.map((part, place) => ({ part, place, mean: text(mean(section[show][part])) }));
  fill(byId("pace-legend"), rows, (row) => row.part, (row) =>
    el("li", { class: `bar-${row.place}` }, LABELS[row.part] ?? row.part, el("b", {}, row.mean)));
  box.setAttribute("aria-label", `Bars for rounds ${section.rounds[0]} to ${section.rounds.at(-1)}. Mean: `
    + rows.map((row) => `${LABELS[row.part] ?? row.part} ${row.mean}`).join(", "));
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

for (const button of document.querySelectorAll("[data-show]")) {
  button.addEventListener("click", () => {
    show = button.dataset.show;
    for (const other of document.querySelectorAll("[data-show]")) other.setAttribute("aria-pressed", String(other === button));
    if (latest) showPace(latest);
  });
}
