"use strict";

// REPORT: {markets: [{symbol, mark, sides: {down|up: {shocks, curves: [{survives, price_after,
// forced_notional, r}], critical: [{survives, shock, jump}]}}}], open_notional: {symbol: amount},
// edges: [{from, to, k, accounts, side}]}.
const colours = ["whole", "some", "few"];
const nameOf = (survives) => `${formatShare(survives)} of the book`;

// One line a share of the book, falls and rises together, from the lowest shock to the highest.
function curvesOf(market, read) {
  const { down, up } = market.sides;
  const parts = [down, up].filter(Boolean);
  const x = parts.flatMap((side) => side.shocks);
  const shares = parts[0].curves.map((curve) => curve.survives);
  const series = shares.map((survives, n) => ({
    label: nameOf(survives), colour: colours[Math.min(n, 2)],
    values: parts.flatMap((side) => side.curves[n][read.field].map((v) => read.value(v))),
  }));
  return { x, series, bands: shares.length > 1 ? [[0, shares.length - 1]] : [] };
}

function criticalOf(market) {
  return Object.values(market.sides).flatMap((side) =>
    side.critical
      .map(({ survives, shock }, n) => ({
        x: shock, colour: colours[Math.min(n, 2)], label: `${formatMove(shock)} with ${formatShare(survives)}`,
      }))
      .filter((mark) => mark.x != null));
}

function drawMarket() {
  const market = REPORT.markets[element("market").selectedIndex];
  if (!market) return;
  for (const row of document.querySelectorAll("tr[data-market]")) {
    row.setAttribute("aria-selected", String(row.dataset.market === market.symbol));
  }
  element("market-name").textContent = `${market.symbol} at ${formatPrice(market.mark)}`;
  const axes = { formatX: (v) => formatMove(v, 1), labelX: "shock" };
  const after = curvesOf(market, { field: "price_after", value: (v) => (v == null ? null : v / market.mark - 1) });
  after.series.push({ label: "the shock alone", values: after.x, colour: "soft", dash: [2, 4], width: 1 });
  const marks = criticalOf(market).filter((mark) => mark.x >= after.x[0] && mark.x <= after.x.at(-1));
  element("after").data = { ...axes, ...after, marks, title: "Where the mark comes to rest", formatY: (v) => formatMove(v, 0), labelY: "where the mark rests" };
  const forced = curvesOf(market, { field: "forced_notional", value: (v) => v });
  element("forced").data = { ...axes, ...forced, title: "What is forced", formatY: formatMoney, labelY: "forced notional" };
  const rates = curvesOf(market, { field: "r", value: (v) => v });
  rates.series.push({ label: "R = 1", values: rates.x.map(() => 1), colour: "soft", dash: [2, 4], width: 1 });
  element("rate").data = { ...axes, ...rates, title: "Reproduction number", bands: [], formatY: (v) => formatPrice(v), labelY: "R" };
}

function showMarket(symbol) {
  const select = element("market");
  select.value = symbol;
  drawMarket();
  element("market-name").scrollIntoView({ block: "nearest" });
}

// Which market moves which: {nodes: {symbol: open notional}, edges}, of one side.
customElements.define("market-graph", class extends Component {
  draw({ nodes, edges }) {
    this.dispose();
    this.chart = echarts.init(this, null, { renderer: "canvas" });
    this.chart.setOption(graphOptions(Object.entries(nodes), edges));
  }
  dispose() {
    this.chart?.dispose();
    this.chart = undefined;
  }
});

function graphOptions(nodes, every) {
  const edges = every.filter((edge) => edge.from !== edge.to);
  const own = new Map(every.filter((edge) => edge.from === edge.to).map((edge) => [edge.from, edge]));
  const largest = Math.max(...nodes.map(([, notional]) => notional), 1);
  const strongest = Math.max(...edges.map((e) => e.k), 1e-12);
  return {
    animation: false,
    textStyle: { fontFamily: "system-ui", color: colour("ink") },
    tooltip: { confine: true },
    series: [{
      type: "graph", layout: "circular", roam: true, left: 110, right: 110, top: 50, bottom: 50,
      edgeSymbol: ["none", "arrow"], edgeSymbolSize: 9,
      label: { show: true, position: "right", color: colour("ink"), fontSize: 13, formatter: "{b}" },
      itemStyle: { color: colour("whole") },
      data: nodes.map(([symbol, notional]) => {
        const itself = own.get(symbol);
        const text = itself ? `<br>itself: k ${itself.k.toPrecision(3)} through ${itself.accounts} accounts` : "";
        return {
          name: symbol, symbolSize: 10 + 46 * Math.sqrt(notional / largest),
          itemStyle: { color: colour(itself && itself.k >= 1 ? "few" : "whole") },
          tooltip: { formatter: `{b}<br>open notional ${formatMoney(notional)}${text}` },
        };
      }),
      links: edges.map((edge) => ({
        source: edge.from, target: edge.to,
        lineStyle: { width: 1 + 7 * (edge.k / strongest), color: colour("some"), curveness: 0.18, opacity: 0.8 },
        label: { show: edges.length <= 24, formatter: edge.accounts ? `${edge.accounts}` : "index", color: colour("soft"), fontSize: 12 },
        tooltip: {
          formatter: `k ${edge.k.toPrecision(3)}, of it ${edge.k_accounts.toPrecision(3)} through ${edge.accounts} accounts`,
        },
      })),
    }],
  };
}

function showGraph() {
  const side = element("side").value;
  element("graph").data = { nodes: REPORT.open_notional, edges: REPORT.edges.filter((edge) => edge.side === side) };
}

element("top").append(themeSwitch());
if (REPORT.markets.length) {
  element("market").addEventListener("change", drawMarket);
  for (const button of document.querySelectorAll("button[data-market]")) {
    button.addEventListener("click", () => showMarket(button.dataset.market));
  }
  drawMarket();
}
if (element("graph")) {
  element("side").addEventListener("change", showGraph);
  showGraph();
}
