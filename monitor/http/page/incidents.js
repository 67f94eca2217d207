"use strict";

// The incidents that the port keeps, by id: rows as /alerts has them, each alert that comes applied to its own.
const FIRING_SHOWN = 50;
const DAY_MS = 86_400_000;
const msOf = (ns) => ns / 1e6;

class LiveIncidents {
  rows = new Map();
  forgotten = 0;

  // Whatever /alerts?all= says stands; gives the last event that is in it.
  replace(overview) {
    this.forgotten = overview.forgotten;
    this.rows = new Map(overview.incidents.map((row) => [row.incident, { ...row, opened: Date.parse(row.opened), resolved: row.resolved && Date.parse(row.resolved) }]));
    return overview.last_event;
  }

  // An alert that was published just now; gives its row.
  apply(alert) {
    const before = this.rows.get(alert.incident);
    const row = before ?? { incident: alert.incident, opened: msOf(alert.ts), alerts: 0, severity: "info" };
    this.rows.delete(alert.incident);
    const isOver = alert.status === "resolved";
    this.rows.set(alert.incident, Object.assign(row, {
      alerts: row.alerts + 1,
      severity: SEVERITIES[Math.min(SEVERITIES.indexOf(row.severity), SEVERITIES.indexOf(alert.severity))],
      status: isOver ? "resolved" : alert.silenced_by ? "silenced" : "firing",
      resolved: isOver ? msOf(alert.ts) : null,
      silenced_by: alert.silenced_by ?? null,
      returns: alert.returns ?? 0,
      kind: alert.kind, symbols: alert.symbols,
      summary: isOver && before ? row.summary : alert.summary,
      by_rule: before?.by_rule ?? alert.evidence[0].p == null,
    }));
    return row;
  }

  // The gravest first, then the newest; silenced ones last.
  firing() {
    const rank = (row) => (row.status === "silenced" ? SEVERITIES.length : SEVERITIES.indexOf(row.severity));
    return [...this.rows.values()].filter((row) => row.status !== "resolved").sort((a, b) => rank(a) - rank(b) || b.opened - a.opened);
  }

  // As lanes and charts take them: without evidence.
  outlines() {
    return [...this.rows.values()].map((row) => ({
      alert: { incident: row.incident, kind: row.kind, symbols: row.symbols, summary: row.summary },
      severity: row.severity, since: row.opened, opened: row.opened, resolved: row.resolved,
    }));
  }

  // The budget beside the incidents of the day before `now`, or of as long as there are any.
  budgetFacts(perDay, now) {
    const recent = [...this.rows.values()].filter((row) => row.opened > now - DAY_MS);
    const byChance = recent.filter((row) => !row.by_rule).length;
    const from = Math.min(now, ...recent.map((row) => row.opened));
    return [
      ["budget of false alarms a day", formatPrice(perDay)],
      ["incidents since " + formatClock(from, 60_000) + " UTC", formatCount(recent.length)],
      ["by chance, which spends the budget", formatCount(byChance)],
      ["by a rule", formatCount(recent.length - byChance)],
      ...(this.forgotten ? [["forgotten here, oldest first", formatCount(this.forgotten)]] : []),
    ];
  }
}

// An incident with all its alerts, from /alerts/ID, as `incident-card` takes it.
function wholeIncident({ alerts }) {
  const fired = alerts.filter((alert) => alert.status !== "resolved");
  const last = alerts.at(-1);
  return {
    alert: (fired.length ? fired : alerts).at(-1),
    severity: SEVERITIES[Math.min(...alerts.map((alert) => SEVERITIES.indexOf(alert.severity)))],
    since: msOf(Math.min(...alerts.map((alert) => alert.since))),
    opened: msOf(alerts[0].ts),
    resolved: last.status === "resolved" ? msOf(last.ts) : null,
    history: alerts.map((alert) => [msOf(alert.ts), alert.status, alert.severity]),
  };
}

// The list of what fires. A row stays the same element while it fires, so that focus and what is open stay.
class FiringList {
  #entries = new Map();

  // `fetchIncident`: gives an incident's document by its id.
  constructor(place, fetchIncident) {
    this.place = place;
    this.fetchIncident = fetchIncident;
  }

  show(rows) {
    const shown = rows.slice(0, FIRING_SHOWN);
    const names = new Set(shown.map((row) => row.incident));
    for (const [name, entry] of this.#entries) {
      if (names.has(name)) continue;
      entry.remove();
      this.#entries.delete(name);
    }
    shown.forEach((row, n) => {
      const entry = this.#entries.get(row.incident) ?? this.#makeEntry(row.incident);
      entry.className = `firing ${row.severity}${row.status === "silenced" ? " silenced" : ""}`;
      if (entry.shownAlerts !== row.alerts) {
        entry.shownAlerts = row.alerts;
        entry.firstChild.replaceChildren(...firingLine(row));
        if (entry.open) this.#fill(entry, row.incident);
      }
      if (this.place.children[n] !== entry) this.place.insertBefore(entry, this.place.children[n] ?? null);
    });
  }

  #makeEntry(name) {
    const entry = make("details", {}, make("summary"), make("div"));
    entry.ontoggle = () => entry.open && this.#fill(entry, name);
    this.#entries.set(name, entry);
    return entry;
  }

  async #fill(entry, name) {
    await showIncident(entry.lastChild, this.fetchIncident(name));
  }
}

function firingLine(row) {
  const notes = [
    `${kindName(row.kind)} · ${row.symbols.join(", ") || "whole venue"}`, `since ${formatClock(row.opened)} UTC`,
    row.alerts > 1 ? `${row.alerts} messages` : null, row.silenced_by ? `silenced by ${row.silenced_by}` : null,
  ];
  return [make("span", { class: `badge ${row.severity}` }, row.severity), ` ${row.summary}`, make("span", { class: "soft" }, notes.filter(Boolean).join(" · "))];
}

// The card of an incident that is asked for, or why there is none.
async function showIncident(place, asked) {
  try {
    const card = make("incident-card", { data: { incident: wholeIncident(await asked) } });
    place.replaceChildren(card);
  } catch (error) {
    place.replaceChildren(make("p", { class: "warn" }, error.message));
  }
}
