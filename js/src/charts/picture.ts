/** What is drawn of a stored table: a chart, a matrix, or the table itself. Pure. */

import type { Num, PlotTable } from "../data/source";
import { numeric } from "../data/source";
import { compare } from "../ui/columns";
import { formatNumber, oneLine, shorten } from "../ui/format";
import type { Chart, PointSeries, Points } from "./plot";

export interface Matrix {
  kind: "matrix";
  labels: string[];
  /** By true, then by predicted label. */
  counts: number[][];
}

export interface Grid {
  kind: "grid";
  header: string[];
  rows: string[][];
  /** The row that is marked. */
  best: number | null;
  /** Rows that there are besides. */
  more: number;
}

export interface Picture {
  title: string;
  /** Beside the title: an area, a count. */
  note: string;
  drawing: Chart | Matrix | Grid;
}

const MOST_BARS = 20;
const MOST_ROWS = 50;
const MOST_LABELS = 30;

export function pictureOf(plot: PlotTable): Picture {
  const title = oneLine(plot.name.replaceAll("_", " "), 100);
  return { title, note: noteOf(plot), drawing: drawingOf(plot) ?? gridOf(plot) };
}

function drawingOf(plot: PlotTable): Chart | Matrix | null {
  switch (plot.kind) {
    case "confusion_matrix":
      return matrixOf(plot);
    case "roc_curve":
      return pointsOf(plot, "fpr", "tpr", {
        x: "false positive rate",
        y: "true positive rate",
        marks: "line",
        guide: "diagonal",
        unit: true,
      });
    case "precision_recall_curve":
      return pointsOf(plot, "recall", "precision", {
        x: "recall",
        y: "precision",
        marks: "line",
        unit: true,
      });
    case "calibration_curve":
      return pointsOf(plot, "predicted", "observed", {
        x: "predicted probability",
        y: "observed frequency",
        marks: "both",
        guide: "diagonal",
        unit: true,
      });
    case "residuals":
      return pointsOf(plot, "predicted", "residual", {
        x: "predicted",
        y: "residual",
        marks: "dots",
        guide: "zero",
      });
    case "feature_importance":
      return barsOf(plot, "feature", "importance");
    case "coefficients":
      return barsOf(plot, "feature", "coefficient");
    default:
      return null;
  }
}

/** One curve for each class, or output. */
function pointsOf(
  plot: PlotTable,
  x: string,
  y: string,
  look: Omit<Points, "kind" | "series">,
): Points | null {
  const { [x]: xs, [y]: ys, class: classes, output: outputs } = plot.columns;
  if (!xs || !ys) return null;
  const groups = classes ?? outputs;
  const series = new Map<unknown, PointSeries>();
  xs.forEach((value, i) => {
    const key = groups?.[i];
    let one = series.get(key);
    if (!one) {
      one = { name: groups ? shorten(oneLine(String(key)), 40) : "", x: [], y: [] };
      series.set(key, one);
    }
    one.x.push(finite(value));
    one.y.push(finite(ys[i]));
  });
  return { kind: "points", series: [...series.values()], ...look };
}

/** The longest bars; a feature that has several (one a class) has its label behind its name. */
function barsOf(plot: PlotTable, name: string, value: string): Chart | null {
  const { [name]: names, [value]: values, class: classes, output: outputs } = plot.columns;
  if (!names || !values) return null;
  const groups = classes ?? outputs;
  const bars = names.flatMap((text, i) => {
    const number = finite(values[i]);
    if (number === null) return [];
    const label = groups ? `${String(text)} · ${String(groups[i])}` : String(text);
    return [{ name: shorten(oneLine(label), 28), value: number, label: formatNumber(number) }];
  });
  bars.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  return bars.length > 0 ? { kind: "bars", metric: value, bars: bars.slice(0, MOST_BARS) } : null;
}

function matrixOf(plot: PlotTable): Matrix | null {
  const { true: truth, predicted, count } = plot.columns;
  if (!truth || !predicted || !count) return null;
  const known = Array.isArray(plot.meta.labels)
    ? plot.meta.labels
    : [...new Set([...truth, ...predicted])].sort(compare);
  if (known.length > MOST_LABELS) return null;
  const place = new Map(known.map((label, i) => [label, i]));
  const counts = known.map(() => known.map(() => 0));
  truth.forEach((label, i) => {
    const row = counts[place.get(label) ?? -1];
    const column = place.get(predicted[i]);
    if (row && column !== undefined) row[column] = finite(count[i]) ?? 0;
  });
  return { kind: "matrix", labels: known.map((label) => oneLine(String(label), 30)), counts };
}

/** Times and the scores of single folds make a search's table too wide to be read. */
const ASIDE = /^(mean|std)_(fit|score)_time$|^split\d+_|^candidate$|^rank_/;

function gridOf(plot: PlotTable): Grid {
  const search = plot.kind === "search";
  // JavaScript puts names that are numbers first (labels of classes): names of rows go before them.
  const all = Object.keys(plot.columns).sort(
    (a, b) => Number(/^\d+$/.test(a)) - Number(/^\d+$/.test(b)),
  );
  const header = search ? all.filter((key) => !ASIDE.test(key)) : all;
  const length = plot.columns[header[0] ?? ""]?.length ?? 0;
  const rows = Array.from({ length: Math.min(length, MOST_ROWS) }, (_, row) =>
    header.map((key) => cell(plot.columns[key]?.[row])),
  );
  const candidates = plot.columns.candidate ?? [];
  const best = search ? candidates.indexOf(plot.meta.best) : -1;
  const names = header.map((key) => oneLine(key.replace(/^param_/, ""), 40));
  const total = search && typeof plot.meta.candidates === "number" ? plot.meta.candidates : length;
  return {
    kind: "grid",
    header: names,
    rows,
    best: best < 0 ? null : best,
    more: Math.max(total, length) - rows.length,
  };
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return formatNumber(value);
  return oneLine(typeof value === "string" ? value : JSON.stringify(value), 60);
}

/** Areas under curves, and how many rows the table was made of, where it is not all of them. */
function noteOf(plot: PlotTable): string {
  const parts: string[] = [];
  for (const [key, word] of [
    ["auc", "AUC"],
    ["average_precision", "AP"],
  ] as const) {
    const areas = Object.entries((plot.meta[key] ?? {}) as Record<string, Num>);
    if (areas.length === 1) parts.push(`${word} ${formatNumber(areas[0]?.[1] ?? "NaN")}`);
    else if (areas.length > 1) {
      const list = areas.slice(0, 4).map(([name, area]) => `${name} ${formatNumber(area)}`);
      parts.push(`${word} ${list.join(", ")}${areas.length > list.length ? " …" : ""}`);
    }
  }
  const { rows, used } = plot.meta;
  if (typeof rows === "number" && typeof used === "number" && used < rows) {
    parts.push(`${used.toLocaleString("en")} of ${rows.toLocaleString("en")} rows`);
  }
  return oneLine(parts.join(" · "), 120);
}

/** The picture in words, for those who cannot see it. */
export function pictureInWords({ title, note, drawing }: Picture): string {
  const said = note ? `${title}: ${note}.` : `${title}.`;
  if (drawing.kind !== "bars") return said;
  const bars = drawing.bars.slice(0, 5).map(({ name, label }) => `${name}: ${label}`);
  return `${said} ${bars.join("; ")}.`;
}

function finite(value: unknown): number | null {
  const number = numeric(value as Num | undefined);
  return typeof number === "number" && Number.isFinite(number) ? number : null;
}
