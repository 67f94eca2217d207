"use strict";

// Long series travel as base64 of little-endian arrays: {f4: text} single floats, NaN where there is
// no number; {u4: text} whole numbers.
function decodeArray(packed) {
  const text = atob(packed.f4 ?? packed.u4);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = text.charCodeAt(i);
  return packed.f4 === undefined ? new Uint32Array(bytes.buffer) : new Float32Array(bytes.buffer);
}

// What charts draw: a gap is null there.
function withGaps(values) {
  const out = new Array(values.length);
  for (let i = 0; i < out.length; i += 1) out[i] = values[i] !== values[i] ? null : values[i];
  return out;
}

// Places of at most `most` rows, evenly spaced, the last one among them.
function spreadPlaces(length, most) {
  if (length <= most) return Array.from({ length }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.round((i * (length - 1)) / (most - 1)));
}

// The quantiles `shares` of the numbers in `values`; null where there are none.
function quantiles(values, shares) {
  const sorted = Array.from(values).filter((v) => v != null && !Number.isNaN(v)).sort((a, b) => a - b);
  return shares.map((share) => (sorted.length ? sorted[Math.round(share * (sorted.length - 1))] : null));
}
