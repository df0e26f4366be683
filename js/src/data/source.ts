/**
 * What a view may know: a `DataSource`, and the JSON that comes out of it.
 *
 * The names are those that nbtrack's Python side sends. A host that cannot do
 * something leaves the optional member out; a view never asks which host it is in.
 */

/** JSON has no NaN and no infinities: they travel as words. */
export type Num = number | "NaN" | "Infinity" | "-Infinity";

export type RunStatus = "RUNNING" | "FINISHED" | "FAILED" | "KILLED" | "SCHEDULED";

export interface MetricSummary {
  last: Num;
  min: Num;
  max: Num;
  count: number;
}

export interface RunModel {
  artifact_path: string;
  flavor: string;
  model_class: string;
  size_bytes: number;
}

export interface ModelRef {
  name: string;
  version: number;
}

export interface RunRow {
  run_id: string;
  run_name: string;
  experiment: string;
  status: RunStatus;
  start_time: number;
  end_time: number | null;
  duration_ms: number | null;
  user_id: string;
  notebook: string | null;
  execution_count: number | null;
  error: string | null;
  params: Record<string, string>;
  metrics: Record<string, MetricSummary>;
  tags: Record<string, string>;
  models: RunModel[];
  registered: ModelRef[];
}

export interface RunTable {
  runs: RunRow[];
}

export interface Series {
  run_id: string;
  key: string;
  steps: number[];
  timestamps: number[];
  values: Num[];
}

export interface RunInput {
  name: string;
  context: string;
  digest: string;
  source_type: string;
  schema: object;
  profile: object;
}

export interface Artifact {
  path: string;
  digest: string;
  size_bytes: number;
}

/** A small table that is to be drawn; its columns are of one length. */
export interface PlotTable {
  name: string;
  /** confusion_matrix, roc_curve, feature_importance, search ...; as in nbtrack/media/plot.py. */
  kind: string;
  columns: Record<string, unknown[]>;
  meta: Record<string, unknown>;
}

export interface RunDetails {
  run: RunRow;
  inputs: RunInput[];
  artifacts: Artifact[];
  cell: { source: string; execution_count: number | null } | null;
  environment: object;
}

export interface ModelVersion {
  version: number;
  run_id: string | null;
  run_name: string | null;
  source: string;
  creation_timestamp: number;
  aliases: string[];
}

export interface RegisteredModel {
  name: string;
  creation_timestamp: number;
  last_updated_timestamp: number;
  versions: ModelVersion[];
}

export interface DataSource {
  runs(): Promise<RunTable>;
  history(runIds: string[], key: string): Promise<Series[]>;
  details(runId: string): Promise<RunDetails>;
  plots(runId: string): Promise<PlotTable[]>;
  models(): Promise<RegisteredModel[]>;
  /** The Plotly object; only charts/plot.ts knows what it looks like. */
  plotly(): Promise<unknown>;
  register?(runId: string, name: string): Promise<ModelRef>;
  /** Calls back whenever runs or models have changed; returns the way to stop. */
  onChange?(listener: () => void): () => void;
}

/** A failure told in a sentence, with the next thing to do when that is known. */
export class SourceError extends Error {
  readonly hint: string | null;

  constructor(message: string, hint: string | null = null) {
    super(message);
    this.name = "SourceError";
    this.hint = hint;
  }
}

/** The number, or undefined for what cannot be ordered or drawn: missing and NaN. */
export function numeric(value: Num | undefined): number | undefined {
  if (value === undefined || value === "NaN") return undefined;
  if (value === "Infinity") return Number.POSITIVE_INFINITY;
  if (value === "-Infinity") return Number.NEGATIVE_INFINITY;
  return Number.isNaN(value) ? undefined : value;
}
