// Numbers, sizes and times as people write them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const scaled = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const BYTES = ["B", "kB", "MB", "GB", "TB"];

export const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));
/** Small numbers whole, large ones as 1.2M: a stranger's number must not break the page. */
export const compact = (value) => (Math.abs(value) < 100000 ? plainly(value) : scaled.format(value));
const plainly = (value) => value.toLocaleString("en", { maximumSignificantDigits: 6, maximumFractionDigits: 4 });
/** 1,234 or 494M. */
export const speed = (value) => (value < 10000 ? value.toLocaleString("en", { maximumSignificantDigits: 3 }) : scaled.format(value));
export const memory = (mib) => (mib < 1000 ? `${whole.format(mib)} MiB` : `${(mib / 1024).toFixed(1)} GiB`);
export const reward = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));
export const percent = (value) => (value === null || value === undefined ? "–" : `${Math.round(value * 100)} %`);
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** 12.3 MB: decimal units. */
export function bytes(value) {
  const step = value > 0 ? Math.min(BYTES.length - 1, Math.floor(Math.log10(value) / 3)) : 0;
  const part = value / 1000 ** step;
  return `${step && part < 100 ? part.toFixed(1) : whole.format(part)} ${BYTES[step]}`;
}

/** 0.31 s, 12 s, 3 min 5 s, 2 h 10 min. */
export function duration(seconds) {
  if (seconds < 10 && seconds % 1) return `${seconds.toFixed(2)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ""}`;
  return `${count(Math.floor(s / 3600))} h${Math.floor((s % 3600) / 60) ? ` ${Math.floor((s % 3600) / 60)} min` : ""}`;
}

/** "now", "12 s ago", "3 min ago", "2 h ago", "4 days ago". */
export function ago(seconds) {
  if (seconds < 2) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${plural(Math.floor(seconds / 86400), "day")} ago`;
}

/** 15:04, on this machine's clock. */
export const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

/** The beginning and end of a long id: 0x12ab…9f04. */
export const short = (id, head = 6, tail = 4) => (id.length > head + tail + 1 ? `${id.slice(0, head)}…${id.slice(-tail)}` : id);
