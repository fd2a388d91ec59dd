// The prediction market: the game that is on, our bets, and how sure the models were against how often they were right.

import { byId, el, fill } from "./dom.js";
import { compact, count, percent, plural, reward } from "./format.js";
import { expandable } from "./more.js";

const SVG = "http://www.w3.org/2000/svg";
const SIZE = 132, EDGE = 12;
const showGames = expandable("market-games", "market-more", 3, (game) => game.game, game);

export function showMarket(market) {
  byId("market-panel").hidden = !market;
  if (!market) return;
  const { now, games, calibration, tokens } = market;
  byId("market-tokens").textContent = `${compact(tokens)} tokens`;
  byId("market-now").hidden = !now;
  byId("market-empty").hidden = Boolean(now) || games.length > 0;
  if (now) {
    byId("market-clue").textContent = `Game ${count(now.game)}, clue ${now.clue} of ${now.clues}`;
    byId("market-question").textContent = now.question;
    fill(byId("market-choices"), now.choices.map((one, place) => ({ ...one, place })), (one) => one.place, choice);
  }
  showGames(games);
  showCalibration(calibration);
}

function choice({ text, tokens, share, out, mine }) {
  const bets = `${plural(tokens, "token")}${share === null ? "" : `, ${percent(share)}`}${mine ? `; ours ${compact(mine)}` : ""}`;
  return el("li", out ? { class: "out" } : {}, el("span", { class: "what" }, text, out ? el("span", { class: "unseen" }, ", ruled out") : ""),
    el("span", { class: "right quiet" }, bets));
}

function game({ game: number, state, question, answer, staked, paid, bets }) {
  const end = state === "open" || state === "closed" ? state : state === "refunded" ? "nobody was right" : answer ?? "answered";
  return el("li", {},
    el("p", {}, el("span", { class: "quiet" }, `Game ${count(number)}: `), question || "not shown to this node"),
    el("p", { class: "ends" }, el("span", {}, el("span", { class: "quiet" }, "Answer: "), end),
      el("span", { class: "right quiet" }, staked ? `bet ${compact(staked)}, paid ${compact(paid)}` : "no bet of ours")),
    el("ul", { class: "bets" }, ...bets.map((bet) => el("li", { "data-right": bet.right === null ? null : String(bet.right) },
      `${bet.name}: ${compact(bet.tokens)} on ${bet.choice}, clue ${bet.clue}`,
      bet.chance === null ? "" : ` (${percent(bet.chance)} sure)`, bet.right === null ? "" : bet.right ? ", right" : ", wrong"))));
}

function showCalibration({ bets, brier, points }) {
  byId("market-calibration").hidden = bets === 0;
  if (bets === 0) return;
  byId("market-brier").textContent = `${plural(bets, "bet")}, Brier score ${reward(brier)}. To the right: how sure a model was of a choice. Upwards: how often that was right; on the line, as often as it was sure.`;
  byId("market-plot").replaceChildren(plot(points));
}

function plot(points) {
  const place = (value) => EDGE + value * (SIZE - 2 * EDGE), x = place, y = (value) => SIZE - place(value);
  const told = points.map(({ sure, right, count: n }) => `${percent(sure)} sure, ${percent(right)} right (${n})`).join("; ");
  const svg = part("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "calibration", role: "img", "aria-label": `How sure against how often right: ${told}` });
  svg.append(part("rect", { x: x(0), y: y(1), width: SIZE - 2 * EDGE, height: SIZE - 2 * EDGE, class: "frame" }),
    part("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), class: "even" }),
    ...points.map(({ sure, right, count: n }) => part("circle", { cx: x(sure).toFixed(1), cy: y(right).toFixed(1), r: (2 + Math.min(5, Math.sqrt(n) / 2)).toFixed(1), class: "dot-mark" })));
  return svg;
}

function part(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
