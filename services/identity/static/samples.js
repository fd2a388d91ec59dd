// What the models wrote. The texts are hostile: they are cut into text nodes, never parsed as HTML.

import { everySecond, now } from "./clock.js";
import { byId, el } from "./dom.js";
import { ago, count, reward } from "./format.js";
import { expandable } from "./more.js";
import { colourClass } from "./palette.js";

const FEW = 6;
const TAG = /(<\/?answer>)/;

const list = byId("samples"), pause = byId("samples-pause");
const showCards = expandable("samples", "samples-more", FEW, (sample) => sample.key, card);
let latest = [];

export function showSamples(samples) {
  latest = samples;
  if (pause.getAttribute("aria-pressed") === "false") draw();
}

function draw() {
  byId("samples-empty").hidden = latest.length > 0;
  pause.hidden = latest.length === 0;
  showCards(latest);
}

function card(sample) {
  const when = el("span", { "data-at": sample.at }, ago(now() - sample.at));
  return el("li", { class: "sample" },
    el("p", { class: "from" },
      el("span", { class: `dot ${colourClass(sample.author)}` }), el("span", { class: "name" }, sample.name),
      el("span", { class: "set" }, sample.dataset.replaceAll("_", " ")),
      el("span", { class: "quiet" }, sample.signed ? "" : "a stock node's, unsigned, ", sample.reader ? `read by ${sample.reader}, ` : "", `round ${count(sample.round)}, `, when)),
    el("p", { class: "question", tabindex: isLong(sample.question) ? 0 : null }, sample.question),
    el("ol", { class: "attempts" }, ...sample.attempts.map(attempt)),
    el("p", { class: "expected" }, ...(sample.answer === null ? ["No single right answer: a program scores it"] : ["Expected ", el("code", {}, sample.answer)])));
}

function attempt({ text, reward: earned }) {
  const grade = earned >= 0.99 ? "good" : earned > 0.05 ? "fair" : "bad";
  return el("li", {},
    el("span", { class: "badge", "data-grade": grade }, el("span", { class: "unseen" }, "Reward "), reward(earned)),
    el("span", { class: "said", tabindex: isLong(text) ? 0 : null }, ...highlight(text)));
}

/** Long enough to be scrolled: then the keyboard must reach it. */
const isLong = (text) => text.length > 130 || text.split("\n").length > 4;

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

pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") === "false";
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Paused" : "Pause";
  if (!paused) draw();
});
everySecond(() => {
  for (const node of list.querySelectorAll("[data-at]")) node.textContent = ago(now() - Number(node.dataset.at));
});
