"use strict";

// REPORT: {from, to: ms, series: {from, step, steps}, markets: {name: {series: {name: packed}, bands: as
// `band_history.py` packs them, or null}}, incidents: as `incidents.js` says, each with its `verdict`}.
const judgements = new Map();
const notDrawn = [];

function stepsOf({ from, step, steps }) {
  return Array.from({ length: steps }, (_, i) => from + i * step);
}

// The lines of a chart: [name in the data, label, colour, more]; those without numbers are left out.
function linesOf(packed, lines) {
  return lines.filter(([name]) => packed?.[name])
    .map(([name, label, line, more]) => ({ label, colour: line, values: decodeArray(packed[name]), ...more }))
    .filter(({ values }) => values.some((v) => !Number.isNaN(v)));
}

function showLines(id, x, series, marks, more) {
  const chart = element(id);
  const title = chart.closest("section").querySelector("h3").textContent;
  chart.closest("section").hidden = !series.length;
  if (!series.length) notDrawn.push(title);
  chart.data = { title, x: series.length ? x : [], series, marks, isTime: true, sync: "market", height: 200, formatY: formatMoney, ...more };
}

function drawMarket() {
  const name = element("charts-of").value;
  const market = REPORT.markets[name];
  if (!market) return;
  element("market-name").textContent = name;
  notDrawn.length = 0;
  const { step } = REPORT.series;
  const x = stepsOf(REPORT.series);
  const fired = REPORT.incidents.filter((one) => marketsOf(one).includes(name));
  const marks = fired.map((one) => ({ x: one.opened, colour: one.severity, label: "" }));
  const each = step === 1000 ? "a second" : `in ${formatDuration(step)}`;
  const show = (id, lines, more) => showLines(id, x, linesOf(market.series, lines), marks, more);
  const price = [["mark", "mark", "ink"], ["mid", "middle of the book", "focus", { width: 1 }]];
  drawBands(market, x, price, fired);
  show("price", price, { title: `Price of ${name}`, labelY: "price", formatY: formatPrice, height: market.bands ? 160 : 300 });
  show("depth", [["depth_25bps_bid", "bids", "bids"], ["depth_25bps_ask", "asks", "asks"]], { labelY: "quote currency", least: 0 });
  show("spread", [["spread_bps", "spread", "focus"], ["mark_gap_bps", "mark off the index", "mark"]], { labelY: "bps", formatY: formatPrice, least: 0 });
  show("flow", [["orders", "orders", "soft", { width: 1 }], ["cancels", "cancels", "focus", { width: 1 }]], { labelY: each, least: 0 });
  show("trades", [["trades", "trades", "focus", { width: 1 }]], { labelY: each, least: 0 });
  show("liquidated", [["liquidation_notional", "liquidated notional", "few"]], { labelY: `quote currency ${each}`, least: 0 });
  show("leverage-changes", [["leverage_changes", "changes", "soft"], ["leverage_raises", "raises", "few"]], { labelY: each, least: 0 });
  drawCascade(market.bands, marks);
  element("not-drawn").textContent = notDrawn.length ? `No numbers of this market for: ${notDrawn.join("; ")}.` : "";
}

function drawBands({ bands, series }, x, price, fired) {
  element("no-bands").hidden = Boolean(bands);
  element("bands").hidden = !bands;
  if (!bands) return;
  const times = stepsOf({ from: bands.from, step: bands.step, steps: bands.columns });
  const [column, row, amount] = [bands.column, bands.row, bands.amount].map(decodeArray);
  const [line] = linesOf(series, price);
  const places = line ? spreadPlaces(x.length, 2000) : [];
  const priceAt = (ms) => line?.values[Math.max(0, Math.min(x.length - 1, Math.floor((ms - x[0]) / REPORT.series.step)))];
  element("bands").data = {
    title: "Forced notional by time and price", unit: "quote currency forced", times, edges: [bands.low, bands.high], rows: bands.rows,
    cells: Array.from(amount, (v, i) => [column[i], row[i], v]),
    line: places.filter((i) => !Number.isNaN(line.values[i])).map((i) => [x[i], line.values[i]]),
    alerts: fired.map((one) => ({ ms: one.opened, price: priceAt(one.opened), severity: one.severity, text: one.alert.summary }))
      .filter((one) => !missing(one.price)),
  };
}

function drawCascade(bands, marks) {
  const x = bands ? stepsOf({ from: bands.from, step: bands.step, steps: bands.columns }) : [];
  const show = (id, packed, lines, more) => showLines(id, x, linesOf(packed, lines), marks, more);
  const tiers = Object.keys(bands?.leverage ?? {});
  show("leverage", bands?.leverage, tiers.map((name, n) => [name, `${name}×`, `tier-${n}`]), { labelY: "quote currency", least: 0 });
  show("rate", bands?.lines, [["r_down", "down", "bids"], ["r_up", "up", "asks"]], { labelY: "R", formatY: formatPrice, least: 1 });
  show("shock", bands?.lines, [["shock_down", "down", "bids"], ["shock_up", "up", "asks"]], { labelY: "move of the mark", formatY: (v) => formatMove(v, 1) });
  show("near", bands?.lines, [["forced_long", "longs", "bids"], ["forced_short", "shorts", "asks"]], { labelY: "quote currency", least: 0 });
}

const choice = () => ({ market: element("market").value, kind: element("kind").value, severity: element("severity").value });

function drawIncidents() {
  const chosen = filterIncidents(REPORT.incidents, choice());
  element("shown").textContent = `${chosen.length} of ${REPORT.incidents.length} incidents`;
  element("lanes").data = {
    title: "Incidents", from: REPORT.from, to: REPORT.to, incidents: chosen, by: element("lanes-by").value, choose: goTo,
  };
  const cards = [...chosen].sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) || a.opened - b.opened);
  element("cards").replaceChildren(...(cards.length ? cards.map(cardOf) : [make("p", { class: "soft" }, "No incident is shown.")]));
}

function cardOf(incident) {
  const data = { incident, judgement: judgements.get(incident.alert.incident), judge };
  return make("incident-card", { id: `incident-${incident.alert.incident}`, data });
}

function goTo(incident) {
  const card = element(`incident-${incident.alert.incident}`);
  card.tabIndex = -1;
  card.focus({ preventScroll: true });
  card.scrollIntoView({ block: "start" });
  const [market] = marketsOf(incident);
  if (REPORT.markets[market] && element("charts-of").value !== market) {
    element("charts-of").value = market;
    drawMarket();
  }
}

function judge(incident, isTrue, note) {
  const id = incident.alert.incident;
  if (isTrue === null) judgements.delete(id);
  else judgements.set(id, { isTrue, note, incident });
  const card = element(`incident-${id}`);
  const pressed = document.activeElement?.textContent;
  card.data = { ...card.data, judgement: judgements.get(id) };
  [...card.querySelectorAll(".judging button")].find((button) => button.textContent === pressed)?.focus();
  element("verdicts-line").hidden = !judgements.size;
  element("verdicts").textContent = `${judgements.size} judged, not saved yet: `;
}

function saveVerdicts() {
  const at = `${new Date().toISOString().slice(0, 19)}Z`;
  const lines = [...judgements.values()].map(({ incident, isTrue, note }) => `${verdictLine(incident.verdict, { isTrue, note, at })}\n`);
  const url = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  make("a", { href: url, download: "verdicts.jsonl" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  element("verdicts").textContent = `${judgements.size} judged and saved: `;
}

element("top").append(themeSwitch());
for (const id of ["market", "kind", "severity"]) element(id).onchange = drawIncidents;
element("market").addEventListener("change", () => {
  if (!REPORT.markets[element("market").value]) return;
  element("charts-of").value = element("market").value;
  drawMarket();
});
element("lanes-by").onchange = drawIncidents;
element("charts-of").onchange = drawMarket;
element("save").onclick = saveVerdicts;
const first = REPORT.incidents.flatMap(marketsOf).find((name) => REPORT.markets[name]);
if (first) element("charts-of").value = first;
drawMarket();
drawIncidents();
