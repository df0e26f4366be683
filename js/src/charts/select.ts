/** Which runs and points a chart shows, and what it says in words. */

import type { Num, RunRow, Series } from "../data/source";
import { numeric } from "../data/source";
import { direction, own } from "../ui/columns";
import { formatNumber, oneLine, plural, shorten } from "../ui/format";
import type { Bar, Chart } from "./plot";

/** More lines than this cannot be told apart. */
export const SHOWN_WHEN_NONE_SELECTED = 10;
export const MOST_SHOWN = 24;

/** The runs to draw: the selected ones, else the newest of those in the table; in table order. */
export function runsToDraw(visible: RunRow[], selected: ReadonlySet<string>, metric: string) {
  const having = visible.filter((run) => own(run.metrics, metric) !== undefined);
  const chosen = having.filter((run) => selected.has(run.run_id));
  const anySelected = visible.some((run) => selected.has(run.run_id));
  if (anySelected) return { runs: chosen.slice(0, MOST_SHOWN), of: chosen.length, chosen: true };
  const newest = new Set(
    [...having].sort((a, b) => b.start_time - a.start_time).slice(0, SHOWN_WHEN_NONE_SELECTED),
  );
  return { runs: having.filter((run) => newest.has(run)), of: having.length, chosen: false };
}

/** Curves as soon as one run has more than one value. */
export const isCurve = (runs: RunRow[], metric: string): boolean =>
  runs.some((run) => (own(run.metrics, metric)?.count ?? 0) > 1);

export function lineChart(runs: RunRow[], metric: string, histories: Series[]): Chart {
  const byRun = new Map(histories.map((series) => [series.run_id, series]));
  const series = runs.flatMap((run) => {
    const found = byRun.get(run.run_id);
    if (!found) return [];
    return {
      name: shorten(oneLine(run.run_name), 40),
      steps: found.steps,
      values: found.values.map(finite),
    };
  });
  return { kind: "lines", metric: oneLine(metric, 60), series };
}

export function barChart(runs: RunRow[], metric: string): Chart {
  const bars = runs.flatMap((run): Bar[] => {
    const last = own(run.metrics, metric)?.last;
    const value = last === undefined ? null : finite(last);
    if (last === undefined || value === null) return [];
    return [{ name: shorten(oneLine(run.run_name), 28), value, label: formatNumber(last) }];
  });
  return { kind: "bars", metric: oneLine(metric, 60), bars };
}

/** The chart in a sentence or two, for those who cannot see it. */
export function inWords(runs: RunRow[], metric: string, curve: boolean): string {
  const values = runs.flatMap((run) => {
    const last = own(run.metrics, metric)?.last;
    return last === undefined ? [] : [{ run, last, number: numeric(last) }];
  });
  const way = direction(metric);
  const hint = way === "up" ? " Higher is better." : way === "down" ? " Lower is better." : "";
  const list = values
    .map(({ run, last }) => `${oneLine(run.run_name, 60)}: ${formatNumber(last)}`)
    .join("; ");
  const kind = curve ? `${metric} by step; the last values of` : `${metric} of`;
  return `${oneLine(kind, 200)} ${plural(values.length, "run")}.${hint} ${list}.`;
}

function finite(value: Num): number | null {
  const number = numeric(value);
  return number === undefined || !Number.isFinite(number) ? null : number;
}
