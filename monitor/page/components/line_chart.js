"use strict";

// <line-chart>: lines against numbers or time. {title, x, series, bands, marks, labelX, labelY, formatX,
// formatY, isTime, height, least, sync}.
// `series`: {label, values, colour, dash, width, isFilled, isStepped, isBar}; a gap is null or NaN. `bands`:
// pairs of places in `series`, filled between. `marks`: {x, label, colour}, vertical lines. `isTime`: x in ms.
// `least`: what the y axis reaches up to at the least, from 0. `sync`: charts of the same text share the cursor.
// The arrow keys move the cursor; dragging zooms along time, a double click or Escape shows all again.
customElements.define("line-chart", class extends Component {
  draw(data) {
    const { x, title = data.labelY, formatY = formatPrice } = data;
    const formatX = data.formatX ?? (data.isTime ? formatClock : formatPrice);
    this.dispose();
    const place = make("div", { class: "plot", tabindex: "0", role: "img" });
    place.setAttribute("aria-label", `${title}: ${data.labelY} against ${data.labelX ?? "time"}; the arrow keys move the cursor`);
    this.replaceChildren(place, tableOf(title, () => lineTable(this.shown, title, formatX, formatY)));
    if (!x.length) {
      place.replaceChildren(make("p", { class: "soft" }, "No numbers came."));
      return;
    }
    this.chart = new uPlot(lineOptions(data, place, formatX, formatY), lineColumns(data), place);
    place.onkeydown = (event) => this.press(event, this.shown.x);
  }
  update(data) {
    if (!this.chart || !data.x.length) return false;
    const { min, max } = this.chart.scales.x;
    const isZoomed = min !== this.shown.x[0] || max !== this.shown.x[this.shown.x.length - 1];
    this.chart.setData(lineColumns(data), !isZoomed);
    if (isZoomed) this.chart.setScale("x", { min, max });
    return true;
  }
  press(event, x) {
    if (event.key === "Escape") return this.chart.setScale("x", { min: x[0], max: x[x.length - 1] });
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return undefined;
    event.preventDefault();
    const from = this.chart.cursor.idx ?? Math.floor(x.length / 2);
    const jump = event.shiftKey ? Math.max(1, Math.round(x.length / 20)) : 1;
    const to = Math.min(x.length - 1, Math.max(0, from + step * jump));
    return this.chart.setCursor({ left: this.chart.valToPos(x[to], "x"), top: 10 });
  }
  dispose() {
    this.chart?.destroy();
    this.chart = undefined;
  }
});

const lineColumns = ({ x, series }) => [x, ...series.map((s) => withGaps(s.values))];

function lineTable({ x, series, labelX }, title, formatX, formatY) {
  return {
    caption: `${title}${x.length > TABLE_ROWS ? `, ${TABLE_ROWS} of ${formatCount(x.length)} rows` : ""}`,
    head: [labelX ?? "UTC", ...series.map((s) => s.label)],
    rows: spreadPlaces(x.length, TABLE_ROWS).map((i) => [formatX(x[i]), ...series.map((s) => formatY(s.values[i]))]),
  };
}

function lineOptions(data, place, formatX, formatY) {
  const axis = (label, values, size, space) => ({
    label, size, space, values, labelSize: label ? 20 : 0, labelFont: `12px ${fontFamily}`, font: `12px ${fontFamily}`,
    stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1, size: 5 },
  });
  const onX = data.isTime
    ? (_, splits, __, ___, step) => splits.map((v) => formatClock(v, step))
    : (_, splits) => splits.map((v) => (v == null ? "" : formatX(v)));
  const onY = (_, splits) => splits.map((v) => (v == null ? "" : formatY(v)));
  return {
    width: Math.max(240, place.clientWidth), height: data.height ?? 260, ms: 1,
    tzDate: (ms) => uPlot.tzDate(new Date(ms), "Etc/UTC"),
    scales: {
      x: { time: Boolean(data.isTime) },
      y: data.least === undefined ? {} : { range: (_, low, high) => [0, Math.max(data.least, high ?? 0) * 1.05 || 1] },
    },
    axes: [axis(data.labelX, onX, 34, 78), axis(data.labelY, onY, 62, 34)],
    series: [
      { label: data.labelX ?? "UTC", value: (_, v) => (v == null ? "–" : formatX(v)) },
      ...data.series.map((s) => ({
        label: s.label, stroke: colour(s.colour), width: s.width ?? 1.5, dash: s.dash, points: { show: false }, spanGaps: false,
        fill: s.isFilled || s.isBar ? `${colour(s.colour)}33` : undefined,
        paths: s.isBar ? uPlot.paths.bars({ size: [1, 100] }) : s.isStepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
        value: (_, v) => (v == null ? "–" : formatY(v)),
      })),
    ],
    bands: (data.bands ?? []).map(([a, b]) => ({ series: [a + 1, b + 1], fill: colour("band") })),
    cursor: { drag: { x: Boolean(data.isTime), y: false }, sync: data.sync ? { key: data.sync } : undefined },
    hooks: { draw: [(u) => drawMarks(u, data.marks ?? [])] },
  };
}

// Each mark's line, and its label in the first of four rows where there is room.
function drawMarks(u, marks) {
  const { ctx, bbox } = u;
  const scale = devicePixelRatio;
  const ends = [0, 0, 0, 0].map(() => -Infinity);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.font = `${12 * scale}px ${fontFamily}`;
  for (const mark of marks) {
    const at = Math.round(u.valToPos(mark.x, "x", true));
    if (at < bbox.left || at > bbox.left + bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = colour(mark.colour);
    ctx.setLineDash([4 * scale, 3 * scale]);
    ctx.lineWidth = scale;
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    const width = ctx.measureText(mark.label ?? "").width + 8 * scale;
    const left = at > bbox.left + bbox.width / 2 ? at - width : at;
    const row = ends.findIndex((end) => end <= left);
    if (!mark.label || row < 0) continue;
    ends[row] = left + width;
    ctx.fillText(mark.label, left + 4 * scale, bbox.top + (row + 1) * 15 * scale);
  }
  ctx.restore();
}
