// The chain as the coordinator last saw it, and what became of this household's submissions.

import { byId, describe, el, fill } from "./dom.js";
import { compact, count, plural, short } from "./format.js";
import { setExplorer, transactionLink } from "./links.js";

const KINDS = { reward: "Reward", winners: "Vote", registration: "Registration" };

export function showChain({ state, refused, transactions, explorer }) {
  setExplorer(explorer);
  byId("chain").hidden = !state;
  byId("chain-empty").hidden = Boolean(state) || transactions.length > 0;
  byId("chain-block").textContent = state ? (state.ledger ? `no chain: a ledger on this machine, entry ${count(state.block)}` : `block ${count(state.block)}`) : "";
  if (state) {
    const no = Object.entries(refused);
    describe(byId("chain"), [
      ["Contract", address(state.contract), state.contract],
      ["Account", address(state.account), state.account],
      ["Chain", `${state.chain_id}`],
      ["Round there", state.stage ? `${count(state.round)}, stage ${state.stage}` : count(state.round)],
      ["Registered peers", count(state.registered_peers)],
      ...(state.waiting ? [["Waiting to be sent", count(state.waiting)]] : []),
      ["Rewards settled", count(state.rewards_settled)],
      ["Votes settled", count(state.winners_settled)],
      ...(no.length ? [["Refused", no.map(([reason, number]) => `${count(number)} ${reason}`).join(", ")]] : []),
      ...(state.finished ? [["State", "finished, nothing waits"]] : []),
    ]);
  }
  byId("transactions-title").hidden = transactions.length === 0;
  fill(byId("transactions"), transactions, (one) => one.key, transaction);
}

const address = (text) => el("span", { class: "mono" }, short(text, 8, 6));

function transaction(one) {
  const worth = one.points !== null ? `${one.points >= 0 ? "+" : ""}${compact(one.points)} points`
    : one.winners ? `for ${plural(one.winners, "peer")}` : "";
  const end = one.outcome === "refused" ? el("span", { class: "right refused" }, one.reason || "refused")
    : el("span", { class: "right" }, worth);
  return el("li", {},
    el("span", { class: "what" }, `${KINDS[one.kind]} of ${one.name}`), end,
    el("span", { class: "quiet" }, one.round === null ? "" : `round ${count(one.round)}`),
    el("span", { class: "quiet right" },
      one.transaction ? transactionLink(one.transaction, one.round, one.peer_id, el("span", { class: "mono" }, short(one.transaction))) : "",
      one.block === null ? "" : ` block ${count(one.block)}`));
}
