// The live page. Server-sent events bring the sections that changed; each has one function that shows it.
//
//     /api/live/events --> stream.js --> PARTS[name](section)
//                                        +-- round.js    round and its clock, key numbers, services
//                                        +-- peers.js    table of peers
//                                        +-- rewards.js, pace.js   charts (chart.js, uPlot)
//                                        +-- samples.js, chain.js, network.js

import { setClock } from "./clock.js";
import { byId, setText } from "./dom.js";
import { showChain } from "./chain.js";
import { showNetwork } from "./network.js";
import { showPace } from "./pace.js";
import { showElsewhere, showPeers } from "./peers.js";
import { showRewards } from "./rewards.js";
import { showRound, showServices, showSummary } from "./round.js";
import { showSamples } from "./samples.js";
import { follow } from "./stream.js";

const PARTS = {
  now: setClock, round: showRound, services: showServices, summary: showSummary,
  peers: showPeers, elsewhere: showElsewhere, // before the charts: they give the colours
  rewards: showRewards, pace: showPace, samples: showSamples, chain: showChain, network: showNetwork,
};

function showSections(sections) {
  for (const [name, show] of Object.entries(PARTS)) if (name in sections) show(sections[name]);
}

function showLink(state) {
  const link = byId("link"), lost = byId("lost");
  if (link.dataset.state === state) return;
  link.dataset.state = state;
  setText(link, state === "live" ? "Live" : "Reconnecting");
  lost.hidden = state === "live";
  if (state === "lost") {
    lost.textContent = `The connection to the swarm is lost; trying again. What you see is from ${new Date().toLocaleTimeString("en", { hour12: false })}.`;
  }
}

follow("/api/live/events", showSections, showLink);
