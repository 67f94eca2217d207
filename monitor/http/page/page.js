"use strict";

// The page of a running sidecar: alerts as the port sends them, all else as it stands every few seconds.
const incidents = new LiveIncidents();
const connection = new PortConnection(showConnection);
const firingList = new FiringList(element("firing"), (name) => connection.get(`/alerts/${encodeURIComponent(name)}`));
const marketTable = new MarketTable(element("market-rows"), chooseMarket);
let chosen = null;
let state = null;
let fault = ""; // of the last look
let link = { lostSince: null, why: "", needsToken: false };
let isOpen = false;
let isIncidentsDue = false;

function showConnection(now) {
  link = now;
  isOpen = isOpen || (!now.lostSince && !now.needsToken);
  element("token-form").hidden = !now.needsToken;
  if (now.needsToken) {
    element("token-why").textContent = now.why || "This sidecar asks for a token (http.token).";
    element("token").focus();
  }
  showStatus();
  if (!now.lostSince && !now.needsToken) poll();
}

function showStatus() {
  const line = element("connection");
  const isOn = !link.lostSince && !link.needsToken && isOpen;
  const isBad = Boolean(link.lostSince) || (isOn && state && !state.ready);
  line.className = `connection${isBad ? " is-lost" : isOn ? " is-on" : ""}`;
  setText(line, link.needsToken ? "A token is needed"
    : link.lostSince ? `Not connected since ${formatClock(link.lostSince)} UTC: ${link.why}`
    : !isOn || !state ? "Asking the sidecar"
    : fault ? `Connected, but the last look failed: ${fault}`
    : state.ready ? "Connected, ready" : `Connected, not ready: ${state.why}`);
  element("shown").hidden = !state;
  element("shown").classList.toggle("is-stale", Boolean(link.lostSince) || link.needsToken);
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setFacts(place, facts) {
  if (place.children.length !== facts.length) place.replaceChildren(...factList(facts.map(([name]) => [name, ""])).children);
  facts.forEach(([name, value], n) => {
    setText(place.children[n].firstChild, name);
    setText(place.children[n].lastChild, value);
  });
}

// Event time: a recorded day is shown as of its own time.
function eventNow() {
  const closed = state?.closed_ns ? msOf(state.closed_ns) : 0;
  return Math.max(closed, ...[...incidents.rows.values()].map((row) => row.resolved ?? row.opened));
}

function showIncidents() {
  isIncidentsDue = false;
  const firing = incidents.firing();
  const more = firing.length - FIRING_SHOWN;
  const count = firing.length === 1 ? "1 incident fires" : `${firing.length || "No"} incidents fire`;
  setText(element("firing-count"), more > 0 ? `${count}; the ${FIRING_SHOWN} gravest are shown` : count);
  document.title = `${firing.length ? `(${firing.length}) ` : ""}brinkwatch`;
  firingList.show(firing);
  const now = eventNow();
  const recent = incidents.outlines().filter((one) => (one.resolved ?? now) > now - DAY_MS);
  const from = Math.max(now - DAY_MS, Math.min(now - 60_000, ...recent.map((one) => one.opened)));
  showLanes(recent, from, now);
  if (state) setFacts(element("budget"), incidents.budgetFacts(state.alerts_per_day, now));
}

// Drawn anew only where that can be seen; what has the focus keeps it.
let lanesShown = "";
function showLanes(recent, from, to) {
  const by = element("lanes-by").value;
  const rows = recent.map((one) => [one.alert.incident, one.severity, one.resolved]);
  const key = JSON.stringify([by, Math.floor((200 * to) / (to - from)), rows]);
  if (key === lanesShown) return;
  lanesShown = key;
  const lanes = element("lanes");
  const focused = lanes.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  lanes.data = { title: "Incidents of the last day", from, to, incidents: recent, by, choose: chooseIncident };
  if (focused) [...lanes.querySelectorAll("button")].find((bar) => bar.getAttribute("aria-label") === focused)?.focus();
}

function showIncidentsSoon() {
  if (isIncidentsDue) return;
  isIncidentsDue = true;
  setTimeout(showIncidents, 250);
}

async function chooseIncident(one) {
  await showIncident(element("incident"), connection.get(`/alerts/${encodeURIComponent(one.alert.incident)}`));
  element("incident").scrollIntoView({ block: "nearest" });
}

function healthFacts() {
  const total = (counts) => counts && Object.values(counts).reduce((sum, n) => sum + n, 0);
  const streams = Object.values(state.streams ?? {});
  const judging = streams.filter((one) => one.judging).length;
  return [
    ["event time, UTC", state.closed_ns ? formatClock(msOf(state.closed_ns)) : "–"],
    ["records wait", formatCount(state.lag)],
    ["delay", `${plain.format(state.delay_s ?? 0)} s`],
    ["partitions here", state.partitions.join(", ") || "none"],
    ["streams that judge", `${judging} of ${streams.length}`],
    ["alerts published", formatCount(state.published)],
    ["refused", formatCount(total(state.refused))],
    ["late", formatCount(total(state.late))],
    ...(state.cascade_graph?.r === undefined ? [] : [["R of all markets", toTwo(state.cascade_graph.r)]]),
  ];
}

async function showMarkets() {
  const missingLine = element("markets-missing");
  try {
    const { markets, left_out: leftOut } = await connection.get("/markets");
    missingLine.hidden = true;
    element("markets").hidden = false;
    const symbols = markets.map((m) => m.symbol);
    if (chosen === null && symbols.length) chosen = new MarketHistory(symbols[0]);
    marketTable.show(markets, chosen?.symbol);
    setText(element("markets-left-out"), leftOut ? `${leftOut} markets with less that is forced are not shown.` : "");
    element("markets-left-out").hidden = !leftOut;
    showChoices(symbols);
    if (chosen !== null) await showHistory(chosen);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    missingLine.hidden = false;
    setText(missingLine, error.message);
  }
}

function showChoices(symbols) {
  const select = element("market");
  const sorted = [...symbols].sort();
  if (sorted.join("\n") !== [...select.options].map((one) => one.value).join("\n")) {
    select.replaceChildren(...sorted.map((name) => make("option", { value: name }, name)));
  }
  select.value = chosen?.symbol ?? "";
}

async function showHistory(of) {
  const answer = await connection.get(`/markets/${encodeURIComponent(of.symbol)}?after=${of.lastNs}`);
  if (of.add(answer) && of === chosen) drawHistory();
}

function drawHistory() {
  setText(element("market-name"), chosen.symbol);
  const line = (id, names, labels, colours, more) =>
    element(id).renew({ x: chosen.ms, series: chosen.lines(names, labels, colours), isTime: true, height: 220, sync: "market", ...more });
  line("price", ["price"], ["price"], ["ink"], { title: "Price", labelY: "price" });
  line("depth", ["bid_depth", "ask_depth"], ["bids", "asks"], ["bids", "asks"], { title: "Depth", labelY: "quote currency", formatY: formatMoney, least: 0 });
  line("spread", ["spread_bps"], ["spread"], ["ink"], { title: "Spread", labelY: "bps", formatY: toTwo, least: 0 });
  line("rate", ["r_down", "r_up"], ["down", "up"], ["few", "whole"], { title: "R", labelY: "R", formatY: toTwo, least: 1 });
  element("heat").renew(chosen.heat(Number(element("reach").value), incidents.outlines()));
}

async function chooseMarket(symbol) {
  chosen = new MarketHistory(symbol);
  for (const row of element("market-rows").children) row.setAttribute("aria-selected", String(row.firstChild.textContent === symbol));
  element("market").value = symbol;
  setText(element("market-name"), symbol);
  await showHistory(chosen).catch(() => {}); // the next look asks again
}

// One look at a time; what fails is said by the stream's connection, or tried again with the next look.
let isPolling = false;
async function poll() {
  if (isPolling || link.lostSince || link.needsToken || !isOpen) return;
  isPolling = true;
  try {
    state = await connection.get("/state");
    fault = "";
    setFacts(element("health"), healthFacts());
    showIncidents();
    await showMarkets();
  } catch (error) {
    fault = error.message;
  } finally {
    isPolling = false;
    showStatus();
  }
}

element("theme-place").append(themeSwitch());
element("lanes-by").onchange = showIncidents;
element("market").onchange = (event) => chooseMarket(event.target.value);
element("reach").onchange = () => chosen?.ms.length && drawHistory();
element("token-form").onsubmit = (event) => {
  event.preventDefault();
  connection.useToken(element("token").value);
  element("token").value = "";
};
setInterval(poll, POLL_MS);
connection.follow(
  async () => {
    const last = incidents.replace(await connection.get("/alerts?all="));
    showIncidentsSoon();
    if (chosen) chosen = new MarketHistory(chosen.symbol);
    return last;
  },
  (alert) => {
    incidents.apply(alert);
    showIncidentsSoon();
  },
);
