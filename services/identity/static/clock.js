// The server's clock, and everything on the page that counts seconds.

let offset = 0;
const ticking = new Set();

/** The server said what time it is. */
export const setClock = (serverNow) => { offset = serverNow - Date.now() / 1000; };
export const now = () => Date.now() / 1000 + offset;

/** Call `update` at once and every second. */
export function everySecond(update) {
  ticking.add(update);
  update();
}

export const tick = () => ticking.forEach((update) => update());
setInterval(tick, 1000);
