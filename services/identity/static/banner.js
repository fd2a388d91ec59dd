// Whether somebody owns this node and its key is open, and what waits for that.

import { byId, el } from "./dom.js";
import { count, plural } from "./format.js";

export function showDoor({ key, owned, waiting, bound }) {
  const door = byId("door");
  door.hidden = owned && key === "ready";
  if (door.hidden) return;
  const waits = key === "ready" || waiting === 0 ? "" : ` ${count(waiting)} of at most ${plural(bound, "submission")} `
    + `${waiting === 1 ? "waits" : "wait"} for it.`;
  const said = !owned ? ["This node has no owner yet.", "/signup", "Claim it"]
    : key === "locked" ? ["The key of this node is locked: it trains, and its rewards are kept.", "/account", "Open it"]
    : ["This node has no key yet: it trains, and its rewards are kept.", "/login", "Log in"];
  door.replaceChildren(el("span", {}, said[0] + waits), el("a", { href: said[1] }, said[2]));
}
