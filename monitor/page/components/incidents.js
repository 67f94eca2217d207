"use strict";

// An incident, as cards and lanes take it: {alert: its latest alert, as on the topic; severity: its gravest so
// far; since, opened, resolved: ms (resolved null: it lasts); history: [[ms, status, severity]]; charts: what
// `evidenceChart` takes; verdict: JSON of what a verdict on it needs, or null}.
const SEVERITIES = ["critical", "warning", "info"];
const marketsOf = (incident) => (incident.alert.symbols.length ? incident.alert.symbols : ["whole venue"]);
const kindName = (kind) => kind.replaceAll("_", " ");

// Those that a choice {market, kind, severity} lets through; an empty choice lets all.
function filterIncidents(incidents, { market = "", kind = "", severity = "" }) {
  return incidents.filter((one) =>
    (!market || marketsOf(one).includes(market)) &&
    (!kind || one.alert.kind === kind) &&
    (!severity || SEVERITIES.indexOf(one.severity) <= SEVERITIES.indexOf(severity)));
}

// Lanes by market or by kind, those of the gravest incidents first: [{name, incidents}].
function layLanes(incidents, by) {
  const lanes = new Map();
  for (const one of incidents) {
    for (const name of by === "kind" ? [kindName(one.alert.kind)] : marketsOf(one)) {
      if (!lanes.has(name)) lanes.set(name, []);
      lanes.get(name).push(one);
    }
  }
  const gravest = (list) => Math.min(...list.map((one) => SEVERITIES.indexOf(one.severity)));
  return [...lanes].map(([name, list]) => ({ name, incidents: list }))
    .sort((a, b) => gravest(a.incidents) - gravest(b.incidents) || b.incidents.length - a.incidents.length || (a.name < b.name ? -1 : 1));
}

// The row of each of `spans` ([from, to], by their beginning) so that none in a row touch.
function stackRows(spans) {
  const ends = [];
  return spans.map(([from, to]) => {
    const free = ends.findIndex((end) => end <= from);
    const row = free < 0 ? ends.length : free;
    ends[row] = to;
    return row;
  });
}

// A line of the file that `brinkwatch feedback --import` reads. Its numbers stay as they are written, for event
// times in ns are larger than a script's whole numbers.
function verdictLine(verdict, { isTrue, note, at }) {
  const given = `"true":${isTrue},"note":${JSON.stringify(note)},"at":${JSON.stringify(at)}`;
  return `${verdict.slice(0, -1)},${given}}`;
}
