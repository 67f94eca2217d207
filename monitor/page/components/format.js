"use strict";

// Numbers, moments and moves as people write them. Times are ms since 1970 UTC.
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const plain = new Intl.NumberFormat("en", { maximumSignificantDigits: 7 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const missing = (v) => v == null || Number.isNaN(v);
const formatMoney = (v) => (missing(v) ? "–" : v === 0 ? "0" : compact.format(v));
const formatPrice = (v) => (missing(v) ? "–" : plain.format(v));
const formatCount = (v) => (missing(v) ? "–" : whole.format(v));
const formatShare = (v) => (missing(v) ? "–" : `${plain.format(v * 100)} %`);
function formatMove(v, digits = 2) {
  if (missing(v)) return "–";
  const text = Math.abs(v * 100).toFixed(digits);
  if (Number(text) === 0) return "0 %";
  return `${v < 0 ? "−" : "+"}${text} %`;
}
const formatDay = (ms) => new Date(ms).toISOString().slice(0, 10);
// The time of day in UTC; `step`: ms between neighbours, which says how fine it has to be.
function formatClock(ms, step = 1000) {
  if (missing(ms)) return "–";
  const text = new Date(ms).toISOString();
  return step >= 86_400_000 ? text.slice(0, 10) : text.slice(11, step >= 60_000 ? 16 : step >= 1000 ? 19 : 23);
}
function formatDuration(ms) {
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ""}`;
  const minutes = Math.round(s / 60);
  return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
}
