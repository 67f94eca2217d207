"use strict";

// <incident-card>: one incident with what it rests on. {incident, judgement: {isTrue, note} or undefined, judge:
// what is called with (incident, isTrue or null, note); without it there are no buttons}.
customElements.define("incident-card", class extends Component {
  draw({ incident, judgement, judge }) {
    const { alert, severity } = incident;
    const card = make("article", { class: `card ${severity}`, "aria-label": `${severity}: ${kindName(alert.kind)}, ${marketsOf(incident).join(", ")}` },
      cardHead(incident),
      make("p", { class: "sentence" }, alert.summary),
      alert.because ? make("p", { class: "soft" }, `Why ${severity}: ${alert.because}.`) : null,
      make("div", { class: "evidence" }, (incident.charts ?? []).map((chart) => evidenceFigure(chart, incident))),
      evidenceTable(alert),
      make("div", { class: "parts" }, stakeOf(alert), layersOf(alert), accountsOf(alert), nextSteps(alert)),
      history(incident),
      judge ? judging(incident, judgement, judge) : null);
    this.replaceChildren(card);
  }
});

function cardHead(incident) {
  const { alert, severity } = incident;
  const lasted = incident.resolved == null ? "not resolved" : `resolved after ${formatDuration(incident.resolved - incident.opened)}`;
  const notes = [
    `layer: ${kindName(alert.layer)}`,
    `began ${formatClock(incident.since)}`, `alert ${formatClock(incident.opened)} UTC, ${formatDuration(Math.max(0, incident.opened - incident.since))} later`,
    lasted, alert.returns ? `came back ${alert.returns} times` : null, alert.end_reason, alert.silenced_by ? `silenced by ${alert.silenced_by}` : null,
  ];
  return make("header", {},
    make("h3", {}, make("span", { class: `badge ${severity}` }, severity), ` ${kindName(alert.kind)} · ${marketsOf(incident).join(", ")}`),
    make("p", { class: "soft" }, notes.filter(Boolean).join(" · ")));
}

const evidenceFigure = (chart, incident) => make("figure", {},
  make("figcaption", {}, chart.title), make("line-chart", { data: evidenceChart(chart, incident) }));

// {title, unit, from, step: ms, values: packed, expected: of a window or null, usual: [low, high] or null,
// additive}.
function evidenceChart({ title, unit, from, step, values: packed, expected, usual, additive }, incident) {
  const values = decodeArray(packed);
  const x = Array.from(values, (_, i) => from + i * step);
  const over = x.map((ms) => ms >= incident.since && ms <= (incident.resolved ?? Infinity));
  const flat = (v) => x.map(() => v);
  const series = [{ label: "observed", values, colour: "ink", width: 1.5 }];
  const bands = [];
  if (usual) {
    series.push({ label: "usual, high", values: flat(usual[1]), colour: "soft", width: 1, dash: [2, 3] });
    series.push({ label: "usual, low", values: flat(usual[0]), colour: "soft", width: 1, dash: [2, 3] });
    bands.push([1, 2]);
  }
  if (expected != null) series.push({ label: "expected", values: over.map((is) => (is ? expected : null)), colour: "focus", width: 2 });
  const marks = [{ x: incident.since, label: "began", colour: "soft" }, { x: incident.opened, label: "alert", colour: incident.severity }];
  if (incident.resolved != null) marks.push({ x: incident.resolved, label: "resolved", colour: "soft" });
  const most = Math.max(...quantiles(values, [1]), usual?.[1] ?? 0, expected ?? 0);
  return { title, x, series, bands, marks, isTime: true, height: 190, labelY: unit, formatY: formatMoney, least: additive ? most : undefined };
}

function evidenceTable(alert) {
  const several = alert.symbols.length > 1;
  const rows = alert.evidence.map((one) => [
    kindName(one.stream), ...(several ? [one.symbol ?? ""] : []), formatMoney(one.observed), formatMoney(one.expected),
    one.ratio == null ? "–" : `${plain.format(Number(one.ratio.toPrecision(3)))} ×`, one.unit,
    one.p == null ? "a rule" : one.p.toExponential(1), formatShare(Number(one.share.toPrecision(2))),
  ]);
  return dataTable({
    caption: "Evidence: observed since it began, beside what was expected; p: the chance of as much in one window",
    head: ["stream", ...(several ? ["market"] : []), "observed", "expected", "ratio", "unit", "p", "share"],
    rows, left: several ? [1, 5] : [4],
  });
}

function stakeOf({ at_stake: stake, zones }) {
  if (!stake) return null;
  const facts = [
    ["forced within " + plain.format(stake.within_pct) + " %", formatMoney(stake.forced_notional)],
    ["of longs", formatMoney(stake.long)], ["of shorts", formatMoney(stake.short)],
    stake.absorbed == null ? null : ["the book takes", formatShare(Number(stake.absorbed.toPrecision(3)))],
    ...["down", "up"].map((side) => stake[side] && [
      `critical shock ${side}`, `${formatMove(stake[side].shock)}${stake[side].within_hour ? ", within an hour's move" : ""}`]),
  ].filter(Boolean);
  const heaviest = zones.map((zone) => `${zone.side}s ${formatPrice(zone.low)} to ${formatPrice(zone.high)}: ${formatMoney(zone.forced_notional)}`);
  return make("section", {}, make("h4", {}, "Money at stake, quote currency"), factList(facts),
    heaviest.length ? make("p", { class: "soft" }, `Heaviest zones: ${heaviest.join("; ")}.`) : null);
}

const factList = (facts) => make("dl", { class: "facts" }, facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));

function layersOf({ triage }) {
  if (!triage?.length) return null;
  return make("section", {}, make("h4", {}, "Layers, the lowest first"),
    make("ol", { class: "layers" }, triage.map((step) => make("li", {}, make("b", {}, kindName(step.layer)), ` ${step.says}`))));
}

function accountsOf({ accounts }) {
  if (!accounts.length) return null;
  const rows = accounts.map((one) => {
    const bar = make("span", { class: "share" });
    bar.style.width = `${Math.min(100, one.share * 100)}%`;
    const share = formatShare(Number(one.share.toPrecision(3)));
    return [make("code", {}, one.account), make("span", {}, `${share} `, make("span", { class: "share-bar", "aria-hidden": "true" }, bar))];
  });
  return make("section", {}, make("h4", {}, "Accounts"),
    dataTable({ caption: "Their shares of what was observed", head: ["account", "share"], rows }));
}

function nextSteps(alert) {
  const copy = make("button", { type: "button", class: "screen" }, "Copy");
  copy.onclick = async () => {
    await navigator.clipboard.writeText(alert.reproduce);
    copy.textContent = "Copied";
  };
  return make("section", {}, make("h4", {}, "What to look at next"),
    alert.look_at?.length ? make("ul", {}, alert.look_at.map((text) => make("li", {}, text))) : null,
    make("p", { class: "reproduce" }, "Show it again: ", make("code", {}, alert.reproduce), " ", copy),
    alert.abstained.length ? make("p", { class: "soft" }, `Could not judge: ${alert.abstained.map((a) => `${a.detector} (${a.why})`).join("; ")}.`) : null);
}

function history(incident) {
  const rows = incident.history.map(([ms, status, severity]) => [formatClock(ms), status, severity]);
  return make("details", {}, make("summary", {}, `${incident.history.length} messages, incident ${incident.alert.incident}`),
    dataTable({ caption: "What was published", head: ["UTC", "status", "severity"], rows, left: [1, 2] }));
}

function judging(incident, judgement, judge) {
  const note = make("input", { type: "text", value: judgement?.note ?? "", placeholder: "why, in your own words", "aria-label": "Note on your verdict" });
  const button = (isTrue, text) => make("button", {
    type: "button", "aria-pressed": String(judgement?.isTrue === isTrue),
    onclick: () => judge(incident, judgement?.isTrue === isTrue ? null : isTrue, note.value),
  }, text);
  note.onchange = () => judgement && judge(incident, judgement.isTrue, note.value);
  return make("footer", { class: "judging screen" }, make("span", {}, "Was it true?"), button(true, "True"), button(false, "False"), note);
}
