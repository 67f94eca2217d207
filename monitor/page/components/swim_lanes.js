"use strict";

// <swim-lanes>: when incidents fired, a lane for each market or kind. {title, from, to: ms, incidents, by:
// "market" or "kind", choose: what is called with the incident that was chosen}.
const LANE_PX = 20;
const BAR_SHARE = 0.012;
customElements.define("swim-lanes", class extends Component {
  draw(data) {
    const lanes = layLanes(data.incidents, data.by ?? "market");
    const empty = make("p", { class: "soft" }, "No incident fired.");
    this.replaceChildren(
      lanes.length ? make("div", { class: "lanes" }, lanes.map((lane) => drawLane(lane, data)), timeAxis(data)) : empty,
      tableOf(data.title, () => lanesTable(lanes, data)));
  }
});

function drawLane({ name, incidents }, { from, to, choose }) {
  const span = Math.max(1, to - from);
  const ordered = [...incidents].sort((a, b) => a.opened - b.opened);
  const places = ordered.map((one) => {
    const start = Math.min(1 - BAR_SHARE, Math.max(0, (one.opened - from) / span));
    return [start, Math.max(start + BAR_SHARE, Math.min(1, ((one.resolved ?? to) - from) / span))];
  });
  const rows = stackRows(places);
  const lane = make("div", { class: "lane-bars" });
  lane.style.height = `${LANE_PX * (Math.max(0, ...rows) + 1) + 6}px`;
  ordered.forEach((one, n) => {
    const [start, end] = places[n];
    const text = `${one.severity}: ${kindName(one.alert.kind)}, ${name}, ${formatClock(one.opened)} UTC`;
    const bar = make("button", { type: "button", class: `bar ${one.severity}`, title: one.alert.summary, "aria-label": text });
    bar.style.left = `${start * 100}%`;
    bar.style.width = `${(end - start) * 100}%`;
    bar.style.top = `${rows[n] * LANE_PX + 3}px`;
    if (choose) bar.onclick = () => choose(one);
    lane.append(bar);
  });
  return make("div", { class: "lane" }, make("span", { class: "lane-name", title: name }, name), lane);
}

function timeAxis({ from, to }) {
  const steps = [0, 0.25, 0.5, 0.75, 1];
  const coarse = to - from > 7_200_000 ? 60_000 : 1000;
  return make("div", { class: "lane lane-axis", "aria-hidden": "true" }, make("span", { class: "lane-name" }, "UTC"),
    make("div", { class: "lane-times" }, steps.map((share) => make("span", {}, formatClock(from + share * (to - from), coarse)))));
}

function lanesTable(lanes, data) {
  const rows = lanes.flatMap(({ name, incidents }) => incidents.map((one) => [
    name, kindName(one.alert.kind), one.severity, formatClock(one.opened), one.resolved == null ? "lasts" : formatClock(one.resolved),
  ]));
  return { caption: data.title, head: ["lane", "kind", "severity", "opened, UTC", "resolved, UTC"], rows, left: [1, 2] };
}
