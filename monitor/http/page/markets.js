"use strict";

// Markets as the port has them: the table of all, and the last hour of the one that is chosen.
const HISTORY_MAX = 720;
const HEAT_COLUMNS = 120;
const HEAT_ROWS = 64;
const SERIES = ["price", "spread_bps", "bid_depth", "ask_depth", "r_down", "r_up"];

const toTwo = (v) => (missing(v) ? "–" : v.toFixed(2));
const CELLS = [
  (m) => formatPrice(m.price), (m) => toTwo(m.spread_bps), (m) => formatMoney(missing(m.bid_depth) ? null : m.bid_depth + m.ask_depth),
  (m) => formatMoney(m.forced_long), (m) => formatMoney(m.forced_short), (m) => toTwo(m.r_down), (m) => toTwo(m.r_up),
  (m) => (missing(m.critical_down) ? "none" : formatMove(m.critical_down)), (m) => (missing(m.critical_up) ? "none" : formatMove(m.critical_up)),
];

// The table: a row stays the same element, so that the focus stays. `choose`: called with a symbol.
class MarketTable {
  #rows = new Map();

  constructor(body, choose) {
    this.body = body;
    this.choose = choose;
  }

  show(markets, chosen) {
    const names = new Set(markets.map((m) => m.symbol));
    for (const [name, row] of this.#rows) {
      if (names.has(name)) continue;
      row.remove();
      this.#rows.delete(name);
    }
    markets.forEach((market, n) => {
      const row = this.#rows.get(market.symbol) ?? this.#makeRow(market.symbol);
      row.setAttribute("aria-selected", String(market.symbol === chosen));
      CELLS.forEach((write, k) => {
        const text = write(market);
        if (row.children[k + 1].textContent !== text) row.children[k + 1].textContent = text;
      });
      if (this.body.children[n] !== row) this.body.insertBefore(row, this.body.children[n] ?? null);
    });
  }

  #makeRow(symbol) {
    const button = make("button", { type: "button", onclick: () => this.choose(symbol) }, symbol);
    const row = make("tr", {}, make("td", {}, button), CELLS.map(() => make("td")));
    this.#rows.set(symbol, row);
    return row;
  }
}

// The samples of one market, the oldest first: `ms`, a list for each of `SERIES`, and `forced`.
class MarketHistory {
  constructor(symbol) {
    this.symbol = symbol;
    this.lastNs = "0";
    this.ms = [];
    this.forced = [];
    for (const name of SERIES) this[name] = [];
  }

  // What /markets/SYMBOL has behind the last sample; says whether that is any.
  add(answer) {
    if (!answer.ts.length) return false;
    this.binBps = answer.bin_bps;
    const extend = (list, more) => [...list, ...more].slice(-HISTORY_MAX);
    this.ms = extend(this.ms, answer.ts.map(msOf));
    this.forced = extend(this.forced, answer.forced);
    for (const name of SERIES) this[name] = extend(this[name], answer[name]);
    // Event times in ns are larger than a script's whole numbers: the next ones begin a little later.
    this.lastNs = `${Math.ceil(this.ms.at(-1))}000000`;
    return true;
  }

  lines(names, labels, colours) {
    return names.map((name, n) => ({ label: labels[n], colour: colours[n], values: this[name] }));
  }

  // The price at a moment; null where there is no sample.
  priceAt(ms) {
    const at = this.ms.findIndex((one) => one >= ms);
    return at < 0 || ms < this.ms[0] ? null : this.price[at];
  }

  // What `heat-map` takes: columns of equal time, each as the last sample before its end has it, and rows of
  // equal price that reach `reach` (a fraction) from the mark. A bin is spread over the rows that it covers.
  heat(reach, incidents) {
    const { ms, price } = this;
    const prices = price.filter((v) => !missing(v));
    const empty = { title: `${this.symbol}: what would be forced`, times: [], edges: [0, 1], rows: HEAT_ROWS, cells: [], line: [], unit: "forced" };
    if (ms.length < 2 || !prices.length) return empty;
    const span = ms.at(-1) - ms[0];
    const columns = Math.min(HEAT_COLUMNS, ms.length - 1);
    const times = Array.from({ length: columns }, (_, n) => ms[0] + (span * n) / columns);
    const low = Math.min(...prices) * (1 - reach);
    const high = Math.max(...prices) * (1 + reach);
    const cells = [];
    for (let column = 0, i = 0; column < columns; column += 1) {
      while (i + 1 < ms.length && ms[i + 1] < times[column] + span / columns) i += 1;
      spreadBins(this.forced[i], price[i], this.binBps / 1e4, reach, low, high).forEach((amount, row) => amount > 0 && cells.push([column, row, amount]));
    }
    const alerts = incidents
      .filter((one) => one.alert.symbols.includes(this.symbol) && !missing(this.priceAt(one.opened)))
      .map((one) => ({ ms: one.opened, price: this.priceAt(one.opened), severity: one.severity, text: one.alert.summary }));
    return { ...empty, times, edges: [low, high], cells, alerts, line: ms.map((at, i) => [at, price[i]]) };
  }
}

// Notional by row of price, from pairs of a bin and its notional.
function spreadBins(pairs, price, width, reach, low, high) {
  const rows = new Float64Array(HEAT_ROWS);
  const height = (high - low) / HEAT_ROWS;
  for (const [bin, amount] of pairs) {
    if (Math.abs(bin + 0.5) * width > reach) continue;
    const from = (price * (1 + bin * width) - low) / height;
    const to = from + (price * width) / height;
    for (let row = Math.max(0, Math.floor(from)); row < Math.min(HEAT_ROWS, to); row += 1) {
      rows[row] += (amount * (Math.min(to, row + 1) - Math.max(from, row))) / (to - from);
    }
  }
  return rows;
}
