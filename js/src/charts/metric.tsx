/** The chart of one metric: loads what it needs, draws it, and says it in words. */

import { useMemo } from "preact/hooks";
import type { DataSource, RunRow } from "../data/source";
import { oneLine, plural } from "../ui/format";
import { useLoad } from "../ui/hooks";
import { ErrorBox, Loading } from "../ui/message";
import { Drawing } from "./drawing";
import { barChart, inWords, isCurve, lineChart, runsToDraw } from "./select";

interface Props {
  source: DataSource;
  metric: string;
  /** All there are to choose from. */
  metrics: string[];
  onMetric(metric: string): void;
  /** The runs of the table, in its order. */
  visible: RunRow[];
  selected: ReadonlySet<string>;
}

export function MetricChart({ source, metric, metrics, onMetric, visible, selected }: Props) {
  const drawn = useMemo(() => runsToDraw(visible, selected, metric), [visible, selected, metric]);
  const curve = isCurve(drawn.runs, metric);
  const ids = drawn.runs.map((run) => run.run_id);
  // New points of the same runs change the counts, and so ask for the curves again.
  const wanted = curve
    ? JSON.stringify(drawn.runs.map((run) => [run.run_id, run.metrics[metric]?.count]))
    : "";
  const histories = useLoad(
    () => (curve ? source.history(ids, metric) : Promise.resolve([])),
    [source, metric, wanted],
  );
  const chart = useMemo(
    () =>
      curve ? lineChart(drawn.runs, metric, histories.data ?? []) : barChart(drawn.runs, metric),
    [curve, drawn, metric, histories.data],
  );
  const empty = chart.kind === "bars" ? chart.bars.length === 0 : chart.series.length === 0;

  return (
    <figure class="nbt-figure">
      <figcaption class="nbt-caption">
        <select
          data-testid="nbt-metric"
          aria-label="Metric of the chart"
          value={metric}
          onChange={(event) => onMetric(event.currentTarget.value)}
        >
          {metrics.map((key) => (
            <option key={key} value={key}>
              {oneLine(key, 60)}
            </option>
          ))}
        </select>
        {caption(drawn, visible, selected)}
      </figcaption>
      {histories.error !== null && <ErrorBox error={histories.error} retry={histories.reload} />}
      {curve && histories.data === null && histories.error === null && (
        <Loading text="Loading the curves…" />
      )}
      {empty && !curve && drawn.runs.length > 0 && <p class="nbt-note">No finite value to draw.</p>}
      {!empty && (
        <Drawing source={source} chart={chart} label={inWords(drawn.runs, metric, curve)} />
      )}
    </figure>
  );
}

function caption(
  drawn: ReturnType<typeof runsToDraw>,
  visible: RunRow[],
  selected: ReadonlySet<string>,
): string {
  const shown = drawn.runs.length;
  if (shown === 0) return `which none of the ${drawn.chosen ? "selected" : "listed"} runs has`;
  if (!drawn.chosen) {
    const rest =
      drawn.of > shown ? `the latest ${plural(shown, "run")} of ${drawn.of}` : plural(shown, "run");
    return visible.length > 1 ? `of ${rest}; select rows to choose others` : `of ${rest}`;
  }
  const without = visible.filter((run) => selected.has(run.run_id)).length - drawn.of;
  const cut =
    drawn.of > shown
      ? `the first ${shown} of ${drawn.of} selected runs`
      : `${plural(shown, "selected run")}`;
  return `of ${cut}${without > 0 ? `; ${plural(without, "selected run")} without it` : ""}`;
}
