/** The columns of the run table, and its order: TanStack Table without a framework. */

import {
  constructTable,
  createColumnHelper,
  createSortedRowModel,
  rowSortingFeature,
  tableFeatures,
} from "@tanstack/table-core";
import { storeReactivityBindings } from "@tanstack/table-core/store-reactivity-bindings";
import type { RunRow } from "../data/source";
import { numeric } from "../data/source";
import { columnFormat } from "./format";

export interface Sort {
  id: string;
  desc: boolean;
}

export type Cell = "name" | "status" | "start_time" | "duration" | "model" | "metric" | "param";

export interface Column {
  id: string;
  cell: Cell;
  /** The metric's or parameter's key; the header's text. */
  label: string;
  group: "" | "Metrics" | "Params";
  width: number;
  right: boolean;
  /** Formats the numbers of this column alike. */
  format: ReturnType<typeof columnFormat>;
  /** The runs that have the best value, when it is known which end is best. */
  best: ReadonlySet<string>;
}

const features = tableFeatures({
  coreReactivityFeature: storeReactivityBindings(),
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
});
const helper = createColumnHelper<typeof features, RunRow>();
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** The value a column is sorted by; undefined (missing, NaN) is always last. */
export function sortValue(run: RunRow, column: Column): number | string | undefined {
  switch (column.cell) {
    case "name":
      return run.run_name;
    case "status":
      return run.status;
    case "start_time":
      return run.start_time;
    case "duration":
      return run.duration_ms ?? undefined;
    case "model":
      return classOf(run);
    case "metric":
      return numeric(own(run.metrics, column.label)?.last);
    case "param": {
      const text = own(run.params, column.label);
      const number = text === undefined || text.trim() === "" ? Number.NaN : Number(text);
      if (text !== undefined && text.toLowerCase() === "nan") return undefined;
      return Number.isNaN(number) ? text : number;
    }
  }
}

/** Runs in the order of a sort; equal ones keep the order they came in. */
export function sortRuns(runs: RunRow[], columns: Column[], sort: Sort | null): RunRow[] {
  const sorted = sort && columns.find((column) => column.id === sort.id);
  if (!sorted) return runs;
  const table = constructTable({
    features,
    data: runs,
    getRowId: (run) => run.run_id,
    initialState: { sorting: [sort] },
    columns: helper.columns([
      helper.accessor((run) => sortValue(run, sorted), {
        id: sorted.id,
        sortUndefined: "last",
        sortFn: (a, b, id) => compare(a.getValue(id), b.getValue(id)),
      }),
    ]),
  });
  return table.getRowModel().rows.map((row) => row.original);
}

/** Numbers before words, numbers by size, words as people order them. */
export function compare(a: unknown, b: unknown): number {
  const numbers = Number(typeof b === "number") - Number(typeof a === "number");
  if (numbers !== 0) return numbers;
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  return collator.compare(String(a), String(b));
}

/** A click on a header: numbers start with the largest, words with A; then the other way; then off. */
export function nextSort(column: Column, sort: Sort | null): Sort | null {
  const first =
    column.cell === "metric" || column.cell === "start_time" || column.cell === "duration";
  if (sort?.id !== column.id) return { id: column.id, desc: first };
  return sort.desc === first ? { id: column.id, desc: !first } : null;
}

const plain: Pick<Column, "group" | "right" | "format" | "best"> = {
  group: "",
  right: false,
  format: columnFormat([]),
  best: new Set(),
};

/** All columns; what was put in stands after what came out. */
export function columnsOf(runs: RunRow[], paramKeys: string[], withModel: boolean): Column[] {
  const columns: Column[] = [{ ...plain, id: "name", cell: "name", label: "Run", width: 220 }];
  if (withModel) {
    const longest = longestOf(runs.map((run) => classOf(run) ?? ""));
    const width = widthFor(Math.max(longest, 6));
    columns.push({ ...plain, id: "model", cell: "model", label: "Model", width });
  }
  columns.push(
    { ...plain, id: "status", cell: "status", label: "Status", width: 98 },
    { ...plain, id: "start_time", cell: "start_time", label: "Started", width: 100 },
    { ...plain, id: "duration", cell: "duration", label: "Duration", width: 94, right: true },
  );
  for (const key of metricKeys(runs)) {
    const values = runs.flatMap((run) => own(run.metrics, key)?.last ?? []);
    const format = columnFormat(values);
    columns.push({
      id: `metrics.${key}`,
      cell: "metric",
      label: key,
      group: "Metrics",
      right: true,
      format,
      width: widthFor(Math.max(key.length + 2, longestOf(values.map(format)))),
      best: bestRuns(runs, key),
    });
  }
  for (const key of paramKeys) {
    const values = runs.flatMap((run) => own(run.params, key) ?? []);
    columns.push({
      ...plain,
      id: `params.${key}`,
      cell: "param",
      label: key,
      group: "Params",
      right: values.every((value) => value.trim() !== "" && !Number.isNaN(Number(value))),
      width: widthFor(Math.max(key.length + 2, longestOf(values))),
    });
  }
  return columns;
}

/** Keys of params as they come, runs from new to old. */
export function paramKeys(runs: RunRow[]): string[] {
  const keys = new Set<string>();
  for (const run of runs) for (const key of Object.keys(run.params)) keys.add(key);
  return [...keys];
}

// What training itself tells, and times; as in nbtrack/htmlview.py.
const SAYS_LITTLE =
  /(^|\.)training_|(^|\.)n_iter$|^(epoch|(lr|grad_norm)(_.+)?|.+_per_s)$|(^|_)(time|duration|seconds)(_|$)/i;

/** Keys of metrics, those that most runs have first; last those that say little of a model. */
export function metricKeys(runs: RunRow[]): string[] {
  const counts = new Map<string, number>();
  for (const run of runs) {
    for (const key of Object.keys(run.metrics)) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  // Of folds the mean tells, and neither the last of them nor how they vary.
  const ofFolds = (key: string): boolean => counts.has(`mean_${key.replace(/^std_/, "")}`);
  const little = (key: string): boolean => SAYS_LITTLE.test(key) || ofFolds(key);
  const rank = (key: string): number => (little(key) ? 0 : (counts.get(key) ?? 0));
  return [...counts.keys()].sort((a, b) => rank(b) - rank(a) || collator.compare(a, b));
}

/** The class of a run's model without its modules: what people call it. */
export function classOf(run: RunRow): string | undefined {
  const model = run.models[0];
  return model && (model.model_class.split(".").at(-1) || model.flavor);
}

/**
 * Parameters of which these runs have different values. One that only some have, all with the same
 * value, tells no more than the model's class: a forest's thirty would hide a pipeline's three.
 */
export function differing(runs: RunRow[], keys: string[]): string[] {
  if (runs.length < 2) return keys;
  return keys.filter((key) => {
    const values = new Set(runs.map((run) => own(run.params, key)));
    values.delete(undefined);
    return values.size > 1;
  });
}

/** Whether the runs' models are worth a column: there are some, and, if asked, of several classes. */
export function modelsDiffer(runs: RunRow[], onlyDiffering: boolean): boolean {
  const classes = new Set(runs.map((run) => run.models[0]?.model_class));
  classes.delete(undefined);
  return classes.size > (onlyDiffering && runs.length > 1 ? 1 : 0);
}

const UP = /(^|[_\W])(acc|accuracy|r2|auc|roc_auc|f1|score|precision|recall)([_\W]|$)/i;
const DOWN = /(^|[_\W])(loss|error|mse|mae|rmse|mape|time|log_loss)([_\W]|$)/i;

/** Which end of a metric is best; null when its name does not say so, or says both. */
export function direction(key: string): "up" | "down" | null {
  const up = UP.test(key);
  // scikit-learn's "neg_..." scores are errors turned around; guessing would be wrong half the time.
  if (/(^|[_\W])neg_/i.test(key) || up === DOWN.test(key)) return null;
  return up ? "up" : "down";
}

function bestRuns(runs: RunRow[], key: string): ReadonlySet<string> {
  const way = direction(key);
  const best = new Set<string>();
  if (!way) return best;
  let top: number | undefined;
  let valued = 0;
  for (const run of runs) {
    const value = numeric(own(run.metrics, key)?.last);
    if (value === undefined) continue;
    valued += 1;
    if (top === undefined || (way === "up" ? value > top : value < top)) {
      top = value;
      best.clear();
    }
    if (value === top) best.add(run.run_id);
  }
  // A mark on every run, or on the only one, says nothing.
  return best.size < valued ? best : new Set();
}

/** A value of a record keyed by names from outside, where "constructor" is a name like any other. */
export function own<T>(record: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function longestOf(texts: string[]): number {
  return texts.reduce((longest, text) => Math.max(longest, text.length), 0);
}

/** The width, in pixels, for so many characters. */
function widthFor(characters: number): number {
  return Math.round(Math.min(220, Math.max(76, characters * 6.8 + 24)));
}
