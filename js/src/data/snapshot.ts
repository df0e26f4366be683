/** A source whose data lies in the page: the report's. It can neither register nor change. */

import type {
  DataSource,
  PlotTable,
  RegisteredModel,
  RunDetails,
  RunTable,
  Series,
} from "./source";
import { SourceError } from "./source";

/** Cells are often shared by runs, so a report may hold each source once, under `sources`. */
export interface SnapshotCell {
  source?: string;
  source_ref?: string;
  execution_count: number | null;
}

export interface Snapshot {
  title: string;
  generated_ms: number;
  nbtrack_version: string;
  database: string;
  runs: RunTable;
  histories: Series[];
  /** Without the run itself, which is in the table. */
  details: Record<string, Omit<RunDetails, "cell" | "run"> & { cell: SnapshotCell | null }>;
  /** By run id; only of the newest runs. */
  plots?: Record<string, PlotTable[]>;
  models: RegisteredModel[];
  sources?: Record<string, string>;
  notes?: string[];
}

export function snapshotSource(data: Snapshot, plotly: unknown): DataSource {
  return {
    async runs() {
      return data.runs;
    },
    async history(runIds, key) {
      const wanted = new Set(runIds);
      return data.histories.filter((series) => series.key === key && wanted.has(series.run_id));
    },
    async details(runId) {
      const found = Object.hasOwn(data.details, runId) ? data.details[runId] : undefined;
      const run = data.runs.runs.find((row) => row.run_id === runId);
      if (!found || !run) {
        throw new SourceError(
          "This report does not hold the details of that run.",
          "Write the report again with this run in it.",
        );
      }
      return { ...found, run, cell: resolveCell(found.cell, data.sources ?? {}) };
    },
    async plots(runId) {
      const plots = data.plots ?? {};
      return Object.hasOwn(plots, runId) ? (plots[runId] ?? []) : [];
    },
    async models() {
      return data.models;
    },
    async plotly() {
      return plotly;
    },
  };
}

function resolveCell(
  cell: SnapshotCell | null,
  sources: Record<string, string>,
): RunDetails["cell"] {
  if (!cell) return null;
  const shared =
    cell.source_ref !== undefined && Object.hasOwn(sources, cell.source_ref)
      ? sources[cell.source_ref]
      : undefined;
  const source = cell.source ?? shared;
  return source === undefined ? null : { source, execution_count: cell.execution_count };
}
