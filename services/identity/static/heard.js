// Every peer whose rollouts came lately: how good they were, and what was turned away.

import { byId, el } from "./dom.js";
import { clock, compact, count, percent, plural, reward, short } from "./format.js";
import { expandable } from "./more.js";
import { colourClass } from "./palette.js";

const cell = (label, cls, ...children) => el("td", { role: "cell", "data-label": label, class: cls }, ...children);
const showRows = expandable("heard-rows", "heard-more", 8, (peer) => peer.id, row);

export function showHeard({ count: number, rows }) {
  byId("heard").hidden = rows.length === 0;
  byId("heard-empty").hidden = rows.length > 0;
  byId("heard-count").textContent = rows.length ? plural(number, "peer") : "";
  showRows(rows);
}

function row(peer) {
  const dropped = Object.entries(peer.rejected);
  const why = dropped.map(([reason, number]) => `${compact(number)} ${reason.replaceAll("_", " ")}`).join(", ");
  const state = peer.quarantined ? el("span", { class: "badge", "data-grade": "bad", title: peer.reason }, "quarantined")
    : el("span", { class: "quiet" }, peer.own ? "this household" : peer.round === null ? "heard" : `round ${count(peer.round)}`);
  return el("tr", { role: "row", class: colourClass(peer.id), "data-quarantined": peer.quarantined ? "yes" : null },
    el("th", { scope: "row", role: "rowheader" }, el("span", { class: "who" }, el("span", { class: "dot" }),
      el("span", { class: "name" }, peer.name), el("span", { class: "mono", title: peer.id }, short(peer.id, 8, 6)))),
    cell("Mean reward", "", reward(peer.reward)), cell("Informative", "", percent(peer.informative)),
    cell("Accepted", "", peer.accepted === null ? "–" : compact(peer.accepted)),
    cell("Dropped", "why", dropped.length ? why : "–"),
    cell("State", "", state, peer.quarantined ? el("span", { class: "quiet because" }, because(peer)) : ""));
}

/** "rubbish, until 15:04": why it is left alone, and for how long. */
function because(peer) {
  const until = peer.until === null ? "" : `until ${clock(peer.until)}`;
  return [peer.reason.replaceAll("_", " "), until].filter(Boolean).join(", ");
}
