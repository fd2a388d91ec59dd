// The live page. Server-sent events bring the sections that changed; each has one function that shows it.
//
//     /api/live/events --> stream.js --> PARTS[name](section)
//                                        +-- round.js    round and its clock, key numbers, services
//                                        +-- banner.js   whether the key is open
//                                        +-- nodes.js    my nodes, what they do now
//                                        +-- curves.js, pace.js   charts (chart.js, uPlot)
//                                        +-- samples.js  rollouts to read
//                                        +-- heard.js, leaders.js, exams.js, market.js, chain.js, network.js   everybody else
//     ask.js    the owner's question to the model

import "./ask.js";
import { setClock } from "./clock.js";
import { showChain } from "./chain.js";
import { showCurves } from "./curves.js";
import { showDoor } from "./banner.js";
import { byId, setText } from "./dom.js";
import { showExams } from "./exams.js";
import { showHeard } from "./heard.js";
import { showLeaders } from "./leaders.js";
import { showMarket } from "./market.js";
import { showNetwork } from "./network.js";
import { showActivity, showNodes } from "./nodes.js";
import { showPace } from "./pace.js";
import { showRound, showServices, showSummary } from "./round.js";
import { showSamples } from "./samples.js";
import { follow } from "./stream.js";

const PARTS = {
  now: setClock, round: showRound, services: showServices, door: showDoor, summary: showSummary,
  nodes: showNodes, activity: showActivity, // before the charts: they give the colours
  curves: showCurves, pace: showPace, samples: showSamples,
  chain: showChain, // before the leaders: it knows the explorer
  leaders: showLeaders, exams: showExams, market: showMarket, heard: showHeard, network: showNetwork,
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
