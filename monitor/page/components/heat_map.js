"use strict";

// <heat-map>: amounts by time and price, with a line and alerts on it. {title, times: [ms of each column],
// edges: [low, high] of the prices, rows: number of price rows, cells: [[column, row, amount]], line: [[ms, price]],
// alerts: [{ms, price, severity, text}], unit, height}. Rows count from the lowest price; amounts are shown
// on a logarithmic scale. Rows are even in the logarithm of the price where `isLog`.
customElements.define("heat-map", class extends Component {
  draw(data) {
    const place = make("div", { class: "heat", role: "img", tabindex: "0" });
    place.style.height = `${data.height ?? 380}px`;
    place.setAttribute("aria-label", `${data.title}; the table below it has the heaviest`);
    this.dispose();
    this.replaceChildren(place, tableOf(data.title, () => heatTable(this.shown)));
    this.chart = echarts.init(place, null, { renderer: "canvas" });
    this.chart.setOption(heatOptions(data));
  }
  update(data) {
    this.chart?.setOption(heatOptions(data), { replaceMerge: ["xAxis", "series", "visualMap"] });
    return Boolean(this.chart);
  }
  dispose() {
    // A painting that goes on over several frames ends with the next one: without it, it would go on in what
    // is disposed, and fail.
    this.chart?.clear();
    this.chart?.getZr().flush();
    this.chart?.dispose();
    this.chart = undefined;
  }
});

// The shortest usual step of a clock that gives at most eight of them in `span` ms.
function clockStep(span) {
  const steps = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200].map((s) => s * 1000);
  return steps.find((step) => span / step <= 8) ?? 86_400_000 * Math.ceil(span / 86_400_000 / 8);
}
const rowPrice = ({ edges: [low, high], rows }, row) => low + ((high - low) * (row + 0.5)) / rows;

function heatTable(data) {
  const heaviest = [...data.cells].sort((a, b) => b[2] - a[2]).slice(0, TABLE_ROWS);
  return {
    caption: `${data.title}, the ${heaviest.length} heaviest of ${formatCount(data.cells.length)}`,
    head: ["UTC", "price", data.unit],
    rows: heaviest.map(([column, row, amount]) => [formatClock(data.times[column]), formatPrice(rowPrice(data, row)), formatMoney(amount)]),
  };
}

function heatOptions(data) {
  const { times, edges, rows, cells } = data;
  const amounts = cells.map((cell) => cell[2]);
  const most = Math.max(...quantiles(amounts, [1]), 1);
  const least = Math.max(...quantiles(amounts, [0.25]), most / 1e5);
  const step = times.length > 1 ? times[1] - times[0] : 1000;
  const tick = clockStep(step * times.length);
  const text = { color: colour("soft"), fontFamily, fontSize: 12 };
  const span = { min: times[0], max: times[0] + step * times.length };
  const frame = { axisLine: { lineStyle: { color: colour("line") } }, splitLine: { show: false } };
  return {
    animation: false,
    textStyle: { fontFamily, color: colour("ink") },
    grid: { left: 66, right: 12, top: 12, bottom: 64 },
    tooltip: { confine: true, backgroundColor: colour("panel"), borderColor: colour("line"), textStyle: { color: colour("ink"), fontSize: 13 } },
    xAxis: [
      { type: "category", data: times.map(String), show: false },
      { type: "value", ...span, ...frame, position: "bottom", interval: tick, axisLabel: { ...text, hideOverlap: true, showMaxLabel: false, formatter: (v) => formatClock(v, tick) } },
    ],
    yAxis: [
      { type: "category", data: Array.from({ length: rows }, (_, n) => String(n)), show: false },
      { type: "value", min: edges[0], max: edges[1], ...frame, position: "left", axisLabel: { ...text, formatter: formatPrice, showMinLabel: false, showMaxLabel: false } },
    ],
    dataZoom: [{ type: "inside", xAxisIndex: [0, 1], filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseMove: true }],
    visualMap: {
      seriesIndex: 0, dimension: 2, min: Math.log10(least), max: Math.log10(most), calculable: false, orient: "horizontal",
      left: 60, bottom: 4, itemWidth: 12, itemHeight: 160, precision: 1, text: [formatMoney(most), formatMoney(least)], textStyle: text,
      inRange: { color: ["heat-0", "heat-1", "heat-2", "heat-3"].map(colour) },
    },
    series: [
      {
        type: "heatmap", xAxisIndex: 0, yAxisIndex: 0, progressive: 0, data: cells.map(([c, r, amount]) => [c, r, Math.log10(amount)]),
        tooltip: { formatter: ({ value: [c, r, v] }) => `${formatClock(times[c])}<br>near ${formatPrice(rowPrice(data, r))}<br><b>${formatMoney(10 ** v)}</b> ${data.unit}` },
      },
      {
        type: "line", xAxisIndex: 1, yAxisIndex: 1, data: data.line, showSymbol: false, silent: true, z: 3,
        lineStyle: { color: colour("ink"), width: 1.5 },
      },
      {
        type: "scatter", xAxisIndex: 1, yAxisIndex: 1, z: 4, symbolSize: 13, symbol: "triangle",
        data: (data.alerts ?? []).map((a) => ({
          value: [a.ms, a.price], name: a.text, itemStyle: { color: colour(a.severity), borderColor: colour("ground"), borderWidth: 1.5 },
        })),
        tooltip: { formatter: ({ value, name }) => `${formatClock(value[0])}<br>${echarts.format.encodeHTML(name)}` },
      },
    ],
  };
}
