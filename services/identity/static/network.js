// What came from other peers, and what was turned away.

import { byId, el, fill } from "./dom.js";
import { bytes, count, plural } from "./format.js";

export function showNetwork(network) {
  const any = network.rounds > 0;
  byId("network").hidden = !any;
  byId("network-empty").hidden = any;
  byId("network-rounds").textContent = any ? `in ${plural(network.rounds, "round")}` : "";
  if (!any) return;
  const rejected = Object.entries(network.rejected);
  byId("network").replaceChildren(...[
    ["Rollouts accepted", count(network.accepted)],
    ...(network.unsigned ? [["Of stock nodes", count(network.unsigned)]] : []),
    ["Rejected", count(rejected.reduce((sum, [, number]) => sum + number, 0))],
    ["Received", bytes(network.bytes_received)],
    ["Sent", bytes(network.bytes_sent)],
  ].map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
  fill(byId("rejected"), rejected, ([reason]) => reason, ([reason, number]) =>
    el("li", {}, reason.replaceAll("_", " "), el("b", {}, count(number))));
}
