// The strip at the top: the round and its clock, the few numbers that say how it goes, the services.

import { everySecond, now, tick } from "./clock.js";
import { byId, el, fill, setText } from "./dom.js";
import { count, duration, percent, plural, reward } from "./format.js";

let current = null;

export function showRound(round) {
  if (round && current?.number !== round.number) {
    setText(byId("announce"), `Round ${count(round.number)} is open.`);
    document.title = `Round ${count(round.number)} · ${document.body.dataset.swarm} · RL Swarm`;
  }
  current = round;
  setText(byId("round-number"), round ? count(round.number) : "–");
  tick();
}

everySecond(() => {
  if (!current) return;
  const whole = Math.max(0.001, current.deadline - current.opened_at), gone = Math.max(0, now() - current.opened_at);
  byId("round-progress").value = Math.min(1, gone / whole);
  const which = current.stage ? `Stage ${current.stage + 1}. ` : "";
  setText(byId("round-time"), which + (current.paused ? "Paused by the founder: no new round opens."
    : current.final ? "The last round: the swarm ends after it."
    : gone < whole ? `${duration(Math.ceil(whole - gone))} left of ${duration(Math.round(whole))}`
    : `Time is up since ${duration(Math.round(gone - whole))}, waiting for the next round…`));
});

export function showSummary(sum) {
  setText(byId("sum-mean"), reward(sum.mean));
  const change = sum.mean === null ? null : sum.mean - sum.first;
  byId("sum-mean-note").replaceChildren(change === null ? "of 1, when a round is through"
    : el("span", { class: change >= 0 ? "up" : "down" }, `${change >= 0 ? "▲" : "▼"} ${Math.abs(change).toFixed(2)}`),
    change === null ? "" : ` from ${reward(sum.first)} at first`);
  byId("sum-peers").replaceChildren(count(sum.training), el("small", {}, ` of ${count(sum.hosted)}`));
  setText(byId("sum-peers-note"), sum.heard === null ? "none is through a round yet"
    : sum.heard === 0 ? "no other peer is heard" : `${plural(sum.heard, "other peer")} heard in a round`);
  setText(byId("sum-share"), percent(sum.share));
  setText(byId("sum-share-note"), "of all groups trained on");
  setText(byId("sum-chain"), count(sum.settled));
  setText(byId("sum-chain-note"), `${plural(sum.winners, "vote")}, ${plural(sum.points, "point")}`);
}

export function showServices(services) {
  byId("services-empty").hidden = services.length > 0;
  const several = (name) => services.filter((one) => one.service === name).length > 1;
  fill(byId("services"), services.map((one) => ({ ...one, several: several(one.service) })),
    (one) => `${one.service}:${one.instance}`, (one) => {
      const reasons = Object.entries(one.degraded).map(([part, reason]) => `without ${part}: ${reason}`).join("; ");
      const said = one.status === "ok" ? "ok" : one.status === "stuck" ? "stuck" : reasons || "degraded";
      return el("li", { "data-status": one.status },
        el("b", {}, one.several ? nameOf(one) : one.service), el("span", {}, said));
    });
}

/** A replica's name; an instance that already names its service is not told twice. */
function nameOf({ service, instance }) {
  return instance.startsWith(service) ? instance : `${service} ${instance}`;
}
