// Try it: a question to the model, its answer as it comes. Only the owner's page has the box.

import { byId, setText } from "./dom.js";
import { count } from "./format.js";

const form = byId("ask");
let source = null;

if (form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(byId("ask-question").value.trim());
  });
  byId("ask-question").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

async function ask(question) {
  if (!question) return;
  busy(true);
  byId("ask-answer").hidden = false;
  byId("ask-text").replaceChildren();
  setText(byId("ask-who"), "Waiting for the model: it answers between two rounds…");
  const answer = await fetch("/api/ask", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": form.dataset.csrf },
    body: JSON.stringify({ question }),
  }).catch(() => null);
  if (answer?.status === 401) return location.assign("/login?next=/");
  const told = await answer?.json().catch(() => null);
  if (!answer?.ok) return end(typeof told?.detail === "string" ? told.detail : "The question could not be sent.");
  listen(told.id);
}

/** The pieces come in order; one that comes twice is passed over, and a first one begins the answer anew. */
function listen(id) {
  let next = 0;
  source = new EventSource(`/api/ask/${id}/events`);
  source.onmessage = ({ data }) => {
    const piece = JSON.parse(data);
    if (piece.place === 0 && next > 0) {
      byId("ask-text").replaceChildren();
      next = 0;
    }
    if (piece.place === undefined || piece.place >= next) {
      next = (piece.place ?? next) + 1;
      if (piece.name) setText(byId("ask-who"), `${piece.name} answers, ${piece.round < 0 ? "before its first round" : `after round ${count(piece.round)}`}`);
      if (piece.text) byId("ask-text").append(piece.text);
    }
    if (piece.done) end(piece.error);
  };
  source.onerror = () => end("The connection was lost before the answer was complete.");
}

function end(error) {
  source?.close();
  source = null;
  busy(false);
  if (error) setText(byId("ask-who"), error);
  else if (!byId("ask-text").textContent) byId("ask-text").append("(nothing)");
}

function busy(is) {
  byId("ask-send").disabled = is;
  form.setAttribute("aria-busy", String(is));
}
