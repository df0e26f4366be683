import { describe, expect, it } from "vitest";
import {
  columnFormat,
  formatAgo,
  formatBytes,
  formatDuration,
  formatNumber,
  oneLine,
  plural,
  shorten,
} from "../src/ui/format";

describe("numbers", () => {
  it.each([
    [0, "0"],
    [3, "3"],
    [-2, "−2"],
    [0.9666666, "0.9667"],
    [0.5, "0.5000"],
    [12.3456, "12.35"],
    [123456.789, "123457"],
    [0.00001234, "1.234e−5"],
    [123456789.5, "1.235e+8"],
    ["NaN", "NaN"],
    ["Infinity", "∞"],
    ["-Infinity", "−∞"],
  ] as const)("%s is shown as %s", (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  it("of one column have the same decimals, unless that would hide small ones", () => {
    const scores = [0.95, 1, 0.8766666, "NaN"] as const;
    expect(scores.map(columnFormat(scores))).toEqual(["0.9500", "1.0000", "0.8767", "NaN"]);
    const seconds = [12.3, 1.25] as const;
    expect(seconds.map(columnFormat(seconds))).toEqual(["12.30", "1.25"]);
    const wide = [0.00012, 300.5] as const;
    expect(wide.map(columnFormat(wide))).toEqual(["1.200e−4", "300.5"]);
    expect([1, 20].map(columnFormat([1, 20]))).toEqual(["1", "20"]);
    expect(columnFormat([])(0.5)).toBe("0.5000");
  });
});

it.each([
  [null, "–"],
  [0, "0 ms"],
  [999, "999 ms"],
  [1000, "1.0 s"],
  [59_900, "59.9 s"],
  [59_960, "1 min 00 s"],
  [61_000, "1 min 01 s"],
  [3_599_600, "1 h 00 min"],
  [7_500_000, "2 h 05 min"],
])("a duration of %s ms is %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1200, "1.2 kB"],
  [48_213, "48 kB"],
  [999_600, "1.0 MB"],
  [3_400_000_000, "3.4 GB"],
])("%s bytes are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

it("times are told from now", () => {
  const now = Date.UTC(2026, 5, 15, 12);
  const minutes = (n: number) => formatAgo(now - n * 60_000, now);
  expect([0, 1, 59, 90, 60 * 24, 60 * 72].map(minutes)).toEqual([
    "just now",
    "1 min ago",
    "59 min ago",
    "2 h ago",
    "yesterday",
    "3 days ago",
  ]);
  expect(minutes(60 * 24 * 60)).toMatch(/2026/);
  // A clock that is a little behind is no reason to speak of the future.
  expect(minutes(-5)).toBe("just now");
});

it("text from outside becomes one line of bearable length", () => {
  expect(oneLine("two\nlines\u0000\tand\u2028more")).toBe("two lines and more");
  expect(oneLine("x".repeat(600))).toHaveLength(500);
  expect(shorten("🦦🦦🦦🦦", 3)).toBe("🦦🦦…");
  expect(shorten("🦦🦦", 3)).toBe("🦦🦦");
});

it("counts have their noun in the right number", () => {
  expect([plural(0, "run"), plural(1, "run"), plural(1000, "run")]).toEqual([
    "0 runs",
    "1 run",
    "1,000 runs",
  ]);
});
