// The whole swarm by the chain's word.

import { byId, el } from "./dom.js";
import { compact, count, plural } from "./format.js";
import { transactionLink } from "./links.js";
import { expandable } from "./more.js";
import { colourClass } from "./palette.js";

const cell = (cls, ...children) => el("td", { role: "cell", class: cls }, ...children);
const showRows = expandable("leaders-rows", "leaders-more", 10, (peer) => peer.id, row);

export function showLeaders({ count: number, from, to, rows }) {
  byId("leaders").hidden = rows.length === 0;
  byId("leaders-empty").hidden = rows.length > 0;
  byId("leaders-count").textContent = rows.length === 0 ? ""
    : plural(number, "peer") + (from === null ? "" : `, rounds ${count(from)} to ${count(to)}`);
  showRows(rows);
}

function row(peer) {
  return el("tr", { role: "row", class: `${colourClass(peer.id)}${peer.own ? " own" : ""}` },
    cell("place", count(peer.place)),
    el("th", { scope: "row", role: "rowheader", title: peer.id }, el("span", { class: "dot" }), el("span", { class: "name" }, peer.name),
      peer.own ? el("span", { class: "unseen" }, ", mine") : ""),
    cell("", compact(peer.points)), cell("", compact(peer.rounds)), cell("", compact(peer.wins)),
    cell("", peer.round === null ? "–" : transactionLink(peer.transaction, peer.round, peer.id,
      el("span", { class: "unseen" }, "round "), compact(peer.round))));
}
