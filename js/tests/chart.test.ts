import { describe, expect, it } from "vitest";
import { luminance, styleOf } from "../src/charts/palette";
import { describe as describeChart, literal } from "../src/charts/plot";
import { barChart, inWords, isCurve, lineChart, runsToDraw } from "../src/charts/select";
import { metric, run } from "./fixtures";

const theme = {
  dark: false,
  text: "rgb(0,0,0)",
  muted: "rgb(90,90,90)",
  grid: "rgb(220,220,220)",
  background: "rgb(255,255,255)",
  accent: "rgb(0,0,200)",
  font: "sans-serif",
};
const none: ReadonlySet<string> = new Set();

describe("which runs are drawn", () => {
  const runs = Array.from({ length: 15 }, (_, i) =>
    run(String(i), { start_time: i, metrics: i === 3 ? {} : { acc: metric(i) } }),
  );

  it("the newest ten, in table order, when none is selected", () => {
    const drawn = runsToDraw(runs, none, "acc");
    expect(drawn.chosen).toBe(false);
    expect(drawn.runs.map((row) => row.run_id)).toEqual(
      Array.from({ length: 10 }, (_, i) => String(i + 5)),
    );
  });

  it("the selected ones that have the metric, in table order", () => {
    const drawn = runsToDraw(runs, new Set(["9", "3", "1"]), "acc");
    expect(drawn.runs.map((row) => row.run_id)).toEqual(["1", "9"]);
    expect(drawn.chosen).toBe(true);
  });

  it("none when only selected runs without the metric are left", () => {
    expect(runsToDraw(runs, new Set(["3"]), "acc").runs).toEqual([]);
  });
});

describe("the chart", () => {
  const hostile = run("a", {
    run_name: "<b>x</b> & <a href='javascript:alert(1)'>y</a> $z$",
    metrics: { "<i>m</i>": metric(0.5) },
  });

  it("is bars for single values and lines as soon as there is a curve", () => {
    expect(isCurve([run("a", { metrics: { m: metric(1) } })], "m")).toBe(false);
    expect(isCurve([run("a", { metrics: { m: metric(1, 2) } })], "m")).toBe(true);
  });

  it("leaves gaps, and no bars, where values are not finite", () => {
    const runs = [
      run("a", { metrics: { m: metric("NaN") } }),
      run("b", { metrics: { m: metric(2) } }),
    ];
    const bars = barChart(runs, "m");
    expect(bars.kind === "bars" && bars.bars.map((bar) => bar.value)).toEqual([2]);
    const series = [
      { run_id: "b", key: "m", steps: [0, 1, 2], timestamps: [0, 1, 2], values: [1, "NaN", 2] },
    ] as never;
    const lines = lineChart(runs, "m", series);
    expect(lines.kind === "lines" && lines.series.map((s) => s.values)).toEqual([[1, null, 2]]);
  });

  it("gives Plotly no markup of the user's, in any text", () => {
    const chart = barChart([hostile], "<i>m</i>");
    const lines = lineChart([hostile], "<i>m</i>", [
      { run_id: "a", key: "<i>m</i>", steps: [0], timestamps: [0], values: [1] },
    ]);
    for (const drawn of [chart, lines]) {
      const { data, layout } = describeChart(drawn, theme);
      const { uirevision, ...texts } = layout as Record<string, unknown>;
      expect(uirevision).toBe("<i>m</i>");
      expect(JSON.stringify([data, texts])).not.toMatch(/<|\$|&(?!lt;|amp;|#36;)/);
    }
  });

  it("escapes so that the text reads as it was", () => {
    const area = document.createElement("textarea");
    area.innerHTML = literal("a<b>&amp; $x$");
    expect(area.value).toBe("a<b>&amp; $x$");
  });

  it("is told in words", () => {
    const runs = [run("a", { run_name: "otter", metrics: { accuracy: metric(0.5) } })];
    expect(inWords(runs, "accuracy", false)).toBe(
      "accuracy of 1 run. Higher is better. otter: 0.5000.",
    );
  });
});

describe("colours", () => {
  const contrast = (a: string, b: string) => {
    const light = (hex: string) => {
      const [r = 0, g = 0, b2 = 0] = [1, 3, 5].map((i) => {
        const c = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b2;
    };
    const [hi = 0, lo = 0] = [light(a), light(b)].sort((x, y) => y - x);
    return (hi + 0.05) / (lo + 0.05);
  };

  it.each([
    [false, "#ffffff"],
    [true, "#1e1e1e"],
  ])("stand out from their background (dark: %s)", (dark, background) => {
    for (let i = 0; i < 8; i += 1) {
      expect(contrast(styleOf(i, dark).color, background)).toBeGreaterThan(3);
    }
  });

  it("never come twice with the same dash among 24 lines", () => {
    const looks = Array.from({ length: 24 }, (_, i) => {
      const { color, dash } = styleOf(i, false);
      return `${color} ${dash}`;
    });
    expect(new Set(looks).size).toBe(24);
  });

  it("know light from dark", () => {
    expect(luminance("rgb(255, 255, 255)")).toBeCloseTo(1);
    expect(luminance("rgb(30, 30, 30)")).toBeLessThan(0.2);
  });
});
