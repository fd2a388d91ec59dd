// What both charts share: size, axes, colours of the scheme.

import { css, onScheme } from "./palette.js";

/** An axis without decoration. */
export function axis(format, size) {
  return {
    stroke: css("--muted"), font: `12px ${css("--sans")}`, size, gap: 6,
    grid: { stroke: css("--grid"), width: 1 }, ticks: { show: false },
    values: (_, splits) => splits.map((value) => (value === null ? "" : format(value))),
  };
}

export const wholeOnly = (value) => (Number.isInteger(value) ? value.toLocaleString("en") : "");

/**
 * A chart in `box`, made by `build(section) -> uPlot options` and fed by `rows(section) -> uPlot data`.
 * It is made again when `shape(section)` changes (other lines), and when the colour scheme does.
 */
export class Chart {
  constructor(box, { build, rows, shape }) {
    Object.assign(this, { box, build, rows, shape, plot: null, section: null, made: null });
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(box);
    onScheme(() => this.section && this.draw(this.section, true));
  }

  size() {
    return { width: Math.max(120, this.box.clientWidth), height: this.box.clientHeight };
  }

  draw(section, anew = false) {
    const shape = JSON.stringify(this.shape(section));
    this.section = section;
    if (this.plot && shape === this.made && !anew) {
      this.plot.setData(this.rows(section));
      return;
    }
    this.plot?.destroy();
    this.made = shape;
    this.plot = new globalThis.uPlot({ ...this.size(), ...this.build(section) }, this.rows(section), this.box);
  }
}
