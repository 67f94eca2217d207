"use strict";

// Numbers as people write them, and colours as the page has them now.
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const plain = new Intl.NumberFormat("en", { maximumSignificantDigits: 7 });
const formatMoney = (v) => (v == null ? "–" : v === 0 ? "0" : compact.format(v));
const formatPrice = (v) => (v == null ? "–" : plain.format(v));
const formatShare = (v) => `${plain.format(v * 100)} %`;
function formatMove(v, digits = 2) {
  if (v == null) return "–";
  const text = Math.abs(v * 100).toFixed(digits);
  if (Number(text) === 0) return "0 %";
  return `${v < 0 ? "−" : "+"}${text} %`;
}
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const element = (id) => document.getElementById(id);

// Charts are drawn anew where the colours, the width or the paper change.
const drawings = [];
function redraw() {
  for (const draw of drawings) draw();
}
function onPage(draw) {
  drawings.push(draw);
  draw();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
let width = document.body.clientWidth;
new ResizeObserver(() => {
  if (document.body.clientWidth !== width) {
    width = document.body.clientWidth;
    redraw();
  }
}).observe(document.body);
addEventListener("beforeprint", () => {
  document.documentElement.dataset.theme = "light";
  redraw();
});
addEventListener("afterprint", () => {
  delete document.documentElement.dataset.theme;
  redraw();
});

// A line chart in the element `id`. `series`: {label, values, colour, dash, width}; `bands`: pairs of
// places in `series`; `marks`: {x, colour, label}, vertical lines. The arrow keys move the cursor.
function drawLines(id, { x, series, bands = [], marks = [], formatX, formatY, labelX, labelY }) {
  const place = element(id);
  place.replaceChildren();
  const axis = (label, format, size, space) => ({
    label, size, space, labelSize: 22, labelFont: "13px system-ui", font: "12px system-ui", stroke: colour("soft"),
    values: (_, splits) => splits.map((v) => (v == null ? "" : format(v))),
    grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 },
  });
  const drawMarks = (u) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = `${12 * devicePixelRatio}px system-ui`;
    marks.forEach((mark, n) => {
      const at = Math.round(u.valToPos(mark.x, "x", true));
      ctx.strokeStyle = ctx.fillStyle = colour(mark.colour);
      ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.lineWidth = devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, bbox.top + bbox.height);
      ctx.stroke();
      const right = at > bbox.left + bbox.width / 2;
      ctx.textAlign = right ? "right" : "left";
      ctx.fillText(mark.label, at + (right ? -4 : 4) * devicePixelRatio, bbox.top + (n + 1) * 15 * devicePixelRatio);
    });
    ctx.restore();
  };
  const options = {
    width: Math.max(280, place.clientWidth), height: 300,
    scales: { x: { time: false } },
    axes: [axis(labelX, formatX, 40, 70), axis(labelY, formatY, 64, 36)],
    series: [
      { label: labelX, value: (_, v) => (v == null ? "–" : formatX(v)) },
      ...series.map((s) => ({
        label: s.label, stroke: colour(s.colour), width: s.width ?? 2, dash: s.dash, points: { show: false },
        spanGaps: false, value: (_, v) => (v == null ? "–" : formatY(v)),
      })),
    ],
    bands: bands.map(([a, b]) => ({ series: [a + 1, b + 1], fill: colour("band") })),
    cursor: { drag: { x: false, y: false } },
    hooks: { draw: [drawMarks] },
  };
  const chart = new uPlot(options, [x, ...series.map((s) => s.values)], place);
  place.tabIndex = 0;
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", `${labelY} against ${labelX}; the arrow keys move the cursor`);
  place.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = chart.cursor.idx ?? Math.floor(x.length / 2);
    const to = Math.min(x.length - 1, Math.max(0, from + step));
    chart.setCursor({ left: chart.valToPos(x[to], "x"), top: 10 });
  };
}
