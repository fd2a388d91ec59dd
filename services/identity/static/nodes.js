// My nodes: a card each, with the round in motion.

import { focusPeer, nameLines } from "./curves.js";
import { byId, el, fill, setText } from "./dom.js";
import { count, memory, percent, plural, reward, short, speed } from "./format.js";
import { explainLink } from "./links.js";
import { colourClass, meet } from "./palette.js";
import { spark } from "./spark.js";

const STEPS = ["sampling", "exchanging", "learning", "saving"];
const SAID = { ok: "training", degraded: "degraded", stuck: "stuck", away: "no trainer" };
const list = byId("nodes");
let doing = {};

export function showNodes(nodes) {
  meet(nodes.map((node) => node.id));
  nameLines(nodes);
  byId("nodes-empty").hidden = nodes.length > 0;
  fill(list, nodes, (node) => node.id, card);
  showActivity(doing);
}

function card(node) {
  const made = el("li", { class: `node ${colourClass(node.id)}`, "data-status": node.status },
    el("header", {}, el("span", { class: "dot" }), el("h3", {}, node.name),
      el("span", { class: "state" }, SAID[node.status]),
      el("span", { class: "mono", title: node.id }, short(node.id, 8, 6))),
    el("div", { class: "motion" }, el("ol", { class: "steps" }, ...STEPS.map((step) => el("li", { "data-step": step }, step))),
      el("p", { class: "quiet doing" })),
    el("div", { class: "score" },
      el("p", { class: "latest" }, reward(node.reward), el("small", {}, node.round === null ? "no round yet"
        : explainLink(node.round, node.id, {}, `round ${count(node.round)}`))),
      trend(node.spark, "after two rounds", "Reward")),
    facts(node),
    node.reasons.length ? el("p", { class: "reason" }, node.reasons.join("; ")) : null);
  made.addEventListener("pointerenter", () => focusPeer(node.id));
  made.addEventListener("pointerleave", () => focusPeer(null));
  return made;
}

function trend(values, otherwise, what) {
  if (values.length < 2) return el("span", { class: "quiet" }, otherwise);
  return spark(values, `${what} from ${reward(values[0])} to ${reward(values.at(-1))} over all rounds`);
}

function facts(node) {
  const { rate, exams, spark: line } = node.judge;
  const judge = exams === 0 ? "–" : el("span", { class: "judge" }, percent(rate), exams > 1 ? spark(line, `Judge's pass rate, ${plural(exams, "exam")}`) : "");
  const rows = [
    ["Model", node.model ?? "–", node.model], ["Device", node.device ?? "–", node.device],
    ["Parameters", node.parameters === null ? "–" : speed(node.parameters)],
    ["Tokens/s", node.tokens_s === null ? "–" : speed(node.tokens_s)],
    ["Rounds/min", node.rounds_min === null ? "–" : String(node.rounds_min)],
    ["Memory", node.memory_mib === null ? "–" : memory(node.memory_mib)],
    ["Restarts", count(node.restarts)], ["From others", percent(node.share)], ["Judge passed", judge],
    ["Points", count(node.points)], ["Wins", count(node.wins)],
  ];
  return el("dl", {}, ...rows.map(([term, value, title]) => el("div", { class: term === "Model" ? "double" : null }, el("dt", {}, term), el("dd", { title: title ?? null }, value))));
}

/** Marks the step each trainer is in, without making its card anew. */
export function showActivity(activity) {
  doing = activity;
  for (const node of list.children) {
    const now = node.dataset.status === "away" ? null : activity[node.dataset.key];
    for (const step of node.querySelectorAll(".steps li")) {
      if (now && step.dataset.step === now.phase) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    }
    setText(node.querySelector(".doing"), now ? phrase(now) : "");
  }
}

function phrase({ phase, round }) {
  const where = round < 0 ? "alone" : `round ${count(round)}`;
  if (phase === "waiting") return "waiting for the next round";
  return phase === "answering" ? "answering a question" : where;
}
