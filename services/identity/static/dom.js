// Building the page from data that strangers wrote: text goes in as text nodes, never as HTML.

export const byId = (id) => document.getElementById(id);

/** An element; attributes by name, children are nodes or strings. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Set a text only when it differs: untouched nodes keep the reader's selection. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Make `parent` hold one child for each item, in order. A child is made again only when its item has changed. */
export function fill(parent, items, keyOf, make) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, place) => {
    const key = String(keyOf(item)), seen = JSON.stringify(item);
    let node = old.get(key);
    if (!node || node.seen !== seen) {
      const fresh = make(item);
      fresh.dataset.key = key;
      fresh.seen = seen;
      if (node) node.replaceWith(fresh);
      node = fresh;
    }
    old.delete(key);
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
  for (const node of old.values()) node.remove();
}

/** Terms and values of a description list. */
export function describe(list, rows) {
  list.replaceChildren(...rows.flatMap(([term, value, full]) => [
    el("dt", {}, term),
    el("dd", full ? { title: full } : {}, value),
  ]));
}
