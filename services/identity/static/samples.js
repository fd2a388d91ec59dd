// What the models wrote. The texts are hostile: they are cut into text nodes, never parsed as HTML.

import { everySecond, now } from "./clock.js";
import { byId, el, fill } from "./dom.js";
import { ago, count, reward } from "./format.js";
import { colourClass } from "./palette.js";

const FEW = 6;
const TAG = /(<\/?answer>)/;

const list = byId("samples"), more = byId("samples-more"), pause = byId("samples-pause");
let latest = [], all = false;

export function showSamples(samples) {
  latest = samples;
  if (pause.getAttribute("aria-pressed") === "false") draw();
}

function draw() {
  byId("samples-empty").hidden = latest.length > 0;
  pause.hidden = latest.length === 0;
  fill(list, all ? latest : latest.slice(0, FEW), (sample) => sample.key, card);
  more.hidden = latest.length <= FEW;
  more.textContent = all ? "Show fewer" : `Show ${latest.length - FEW} more`;
}

function card(sample) {
  const grade = sample.reward >= 0.99 ? "good" : sample.reward > 0.05 ? "fair" : "bad";
  const when = el("span", { "data-at": sample.at }, ago(now() - sample.at));
  return el("li", { class: "sample" },
    el("p", { class: "from" },
      el("span", { class: "badge", "data-grade": grade, title: "reward" }, el("span", { class: "unseen" }, "Reward "), reward(sample.reward)),
      el("span", { class: `dot ${colourClass(sample.peer_id)}` }), el("span", { class: "name" }, sample.name),
      el("span", { class: "quiet" }, `round ${count(sample.round)}, `, when)),
    el("p", { class: "question", tabindex: sample.question.length > 300 ? 0 : null }, sample.question),
    el("p", { class: "said", tabindex: sample.completion.length > 300 ? 0 : null }, ...highlight(sample.completion)),
    el("p", { class: "expected" }, sample.answer === null ? "No single right answer: scored by " : "Expected ",
      el("code", {}, sample.answer ?? sample.dataset), sample.answer === null ? "" : `, ${sample.dataset.replaceAll("_", " ")}`));
}

/** The completion with what stands between answer tags marked. */
function highlight(text) {
  if (!text.trim()) return [el("span", { class: "quiet" }, "(nothing)")];
  let inside = false;
  return text.split(TAG).filter(Boolean).map((piece) => {
    if (TAG.test(piece)) {
      inside = piece === "<answer>";
      return el("span", { class: "tag" }, piece);
    }
    return inside ? el("mark", {}, piece) : document.createTextNode(piece);
  });
}

more.addEventListener("click", () => {
  all = !all;
  draw();
});
pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") === "false";
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Paused" : "Pause";
  if (!paused) draw();
});
everySecond(() => {
  for (const node of list.querySelectorAll("[data-at]")) node.textContent = ago(now() - Number(node.dataset.at));
});
