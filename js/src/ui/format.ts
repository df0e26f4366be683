/** Values as people read them; the full value always goes into a `title`. */

import type { Num } from "../data/source";

export const MISSING = "–";

/** One line: control characters would break a cell, or hide what follows them. */
export function oneLine(text: string, limit = 500): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  const line = text.replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, " ").trim();
  return shorten(line, limit);
}

/** At most `limit` characters, never half an emoji. */
export function shorten(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const characters = Array.from(text);
  return characters.length <= limit ? text : `${characters.slice(0, limit - 1).join("")}…`;
}

export function formatNumber(value: Num): string {
  if (value === "NaN") return "NaN";
  if (value === "Infinity") return "∞";
  if (value === "-Infinity") return "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return minus(String(value));
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return minus(value.toExponential(3));
  return minus(value.toPrecision(size >= 1000 ? 6 : 4));
}

/** One format for a column, so that its decimal points stand below each other. */
export function columnFormat(values: readonly Num[]): (value: Num) => string {
  const sizes = values.filter((v): v is number => typeof v === "number" && v !== 0).map(Math.abs);
  if (sizes.length === 0 || sizes.every(Number.isInteger)) return formatNumber;
  let largest = 0;
  let smallest = Number.POSITIVE_INFINITY;
  for (const size of sizes) {
    largest = Math.max(largest, size);
    smallest = Math.min(smallest, size);
  }
  // Fixed decimals would hide the small values of a wide range.
  if (largest >= 1e6 || largest < 1e-3 || largest / smallest > 1e3) return formatNumber;
  const decimals = Math.min(6, Math.max(1, 4 - Math.ceil(Math.log10(largest * 0.9999999))));
  return (value) =>
    typeof value === "number" ? minus(value.toFixed(decimals)) : formatNumber(value);
}

/** Every digit, for titles. */
export function exactNumber(value: Num): string {
  return String(value);
}

export function formatDuration(ms: number | null): string {
  if (ms === null) return MISSING;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const pad = (n: number) => String(n).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function formatAgo(ms: number, now: number): string {
  const seconds = (now - ms) / 1000;
  if (seconds < 45) return "just now";
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.round(minutes / 60);
  if (hours < 24) return `${hours} h ago`;
  const days = Math.round(hours / 24);
  if (days < 14) return days === 1 ? "yesterday" : `${days} days ago`;
  return formatDay(ms);
}

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const formatDay = (ms: number): string => day.format(ms);
export const formatTime = (ms: number): string => moment.format(ms);

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

function minus(digits: string): string {
  return digits.replaceAll("-", "−");
}
