// A small line without axes. A flat line stays flat: the scale spans at least SPAN.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 124, HEIGHT = 30, EDGE = 3, SPAN = 0.3;

export function spark(values, label) {
  const x = (place) => EDGE + (place * (WIDTH - 2 * EDGE)) / (values.length - 1);
  const low = Math.min(...values), span = Math.max(SPAN, Math.max(...values) - low);
  const y = (value) => HEIGHT - EDGE - ((value - low) / span) * (HEIGHT - 2 * EDGE);
  const line = part("polyline", { points: values.map((value, place) => `${x(place).toFixed(1)},${y(value).toFixed(1)}`).join(" "),
    fill: "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linejoin": "round", "vector-effect": "non-scaling-stroke" });
  const svg = part("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", preserveAspectRatio: "none", "aria-label": label });
  svg.append(line);
  return svg;
}

function part(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
