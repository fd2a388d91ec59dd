// A list that shows its first few, and all of it at a click.

import { byId, fill } from "./dom.js";
import { count } from "./format.js";

/** Returns show(items): fills #<id> and keeps the button #<button> in step. */
export function expandable(id, button, few, keyOf, make) {
  const parent = byId(id), more = byId(button);
  let items = [], all = false;

  function draw() {
    fill(parent, all ? items : items.slice(0, few), keyOf, make);
    more.hidden = items.length <= few;
    more.textContent = all ? "Show fewer" : `Show ${count(items.length - few)} more`;
    more.setAttribute("aria-expanded", String(all));
  }

  more.addEventListener("click", () => {
    all = !all;
    draw();
  });
  return (latest) => {
    items = latest;
    draw();
  };
}
