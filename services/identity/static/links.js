// Where a transaction or a round's explanation is to be seen.

import { el } from "./dom.js";

const HASH = /^0x[0-9a-f]{64}$/;
let explorer = null;

/** The server's setting: https://host/tx/{hash}, or null. */
export const setExplorer = (template) => { explorer = /^https?:\/\//.test(template ?? "") ? template : null; };

/** To our own page about a round, for one peer. */
export const explainLink = (round, peerId, attributes, ...children) =>
  el("a", { href: `/explain/${round}?peer=${encodeURIComponent(peerId)}`, ...attributes }, ...children);

/** To the block explorer, if there is one; else to our own page. */
export function transactionLink(hash, round, peerId, ...children) {
  if (explorer && HASH.test(hash ?? "")) {
    return el("a", { href: explorer.replace("{hash}", hash), rel: "noopener noreferrer", target: "_blank", title: hash }, ...children);
  }
  return round === null ? el("span", { title: hash }, ...children) : explainLink(round, peerId, { title: hash }, ...children);
}
