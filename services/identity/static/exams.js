// The judge's leaderboard: how often each peer was right in its latest exams.

import { byId, el } from "./dom.js";
import { compact, percent, plural } from "./format.js";
import { expandable } from "./more.js";
import { colourClass } from "./palette.js";

const cell = (cls, ...children) => el("td", { role: "cell", class: cls }, ...children);
const showRows = expandable("exams-rows", "exams-more", 8, (peer) => peer.id, row);

export function showExams({ source, bank, count: number, rows }) {
  byId("exams").hidden = rows.length === 0;
  byId("exams-empty").hidden = rows.length > 0;
  byId("exams-source").textContent = rows.length === 0 ? ""
    : `${plural(number, "peer")}, ${source === "upstream" ? "asked by the upstream judge" : `questions of ${bank}`}`;
  showRows(rows);
}

function row(peer) {
  const between = `95 % interval: ${percent(peer.low)} to ${percent(peer.high)}`;
  return el("tr", { role: "row", class: `${colourClass(peer.id)}${peer.own ? " own" : ""}` },
    el("th", { scope: "row", role: "rowheader", title: `${peer.id}, ${peer.model}` }, el("span", { class: "dot" }),
      el("span", { class: "name" }, peer.name), peer.own ? el("span", { class: "unseen" }, ", mine") : ""),
    cell("", el("span", { title: between }, percent(peer.pass)), el("span", { class: "unseen" }, `, ${between}`)),
    cell("", peer.fixed === null ? "–" : el("span", { title: plural(peer.fixed_exams, "exam") }, percent(peer.fixed))),
    cell("", compact(peer.exams)), cell("", compact(peer.round)));
}
