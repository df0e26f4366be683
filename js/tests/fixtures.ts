/** Made-up runs, and a kernel that answers as nbtrack's does. */

import type { Snapshot } from "../src/data/snapshot";
import type {
  MetricSummary,
  Num,
  PlotTable,
  RegisteredModel,
  RunRow,
  Series,
} from "../src/data/source";
import type { MessageModel } from "../src/data/widget";

export function metric(last: Num, count = 1): MetricSummary {
  return { last, min: last, max: last, count };
}

export function run(id: string, change: Partial<RunRow> = {}): RunRow {
  return {
    run_id: id,
    run_name: `run ${id}`,
    experiment: "Default",
    status: "FINISHED",
    start_time: 1_700_000_000_000,
    end_time: 1_700_000_001_000,
    duration_ms: 1000,
    user_id: "ada",
    notebook: null,
    execution_count: null,
    error: null,
    params: {},
    metrics: {},
    tags: {},
    models: [],
    registered: [],
    ...change,
  };
}

export const MODEL = {
  artifact_path: "model",
  flavor: "sklearn",
  model_class: "RandomForestClassifier",
  size_bytes: 48_213,
};

const PLOT_FILE = { path: "plots/confusion_matrix_X_test.json", digest: "x", size_bytes: 90 };
export const MATRIX: PlotTable = {
  name: "confusion_matrix_X_test",
  kind: "confusion_matrix",
  columns: { true: ["cat", "cat", "dog"], predicted: ["cat", "dog", "dog"], count: [7, 1, 9] },
  meta: { labels: ["cat", "dog"], rows: 17, used: 17 },
};

export function snapshot(change: Partial<Snapshot> = {}): Snapshot {
  const runs = [
    run("a", {
      params: { C: "0.1", kernel: "rbf" },
      metrics: { accuracy: metric(0.91), loss: metric(0.2, 3) },
      models: [MODEL],
    }),
    run("b", {
      params: { C: "10", kernel: "rbf" },
      metrics: { accuracy: metric(0.95), loss: metric("NaN", 3) },
      models: [MODEL],
    }),
    run("c", { status: "FAILED", error: "ValueError: NaN in X", params: { C: "2" } }),
  ];
  const histories: Series[] = [
    { run_id: "a", key: "loss", steps: [0, 1, 2], timestamps: [1, 2, 3], values: [3, 1, 0.2] },
    { run_id: "b", key: "loss", steps: [0, 1, 2], timestamps: [1, 2, 3], values: [3, 1, "NaN"] },
  ];
  const models: RegisteredModel[] = [
    {
      name: "iris",
      creation_timestamp: 1,
      last_updated_timestamp: 2,
      versions: [
        {
          version: 1,
          run_id: "a",
          run_name: "run a",
          source: "runs:/a/model",
          creation_timestamp: 1,
          aliases: ["champion"],
        },
      ],
    },
  ];
  const details = Object.fromEntries(
    runs.map((row) => [
      row.run_id,
      {
        inputs: [],
        artifacts: row.run_id === "a" ? [PLOT_FILE] : [],
        cell: { source_ref: "cell", execution_count: 4 },
        environment: { python: "3.12" },
      },
    ]),
  );
  return {
    title: "A report",
    generated_ms: 1_700_000_002_000,
    nbtrack_version: "0.1.0",
    database: "nbtrack.db",
    runs: { runs },
    histories,
    details,
    plots: { a: [MATRIX] },
    models,
    sources: { cell: "model.fit(X, y)" },
    ...change,
  };
}

interface Request {
  id: string;
  op: string;
  params: Record<string, unknown>;
}

type Answering = (request: Request) => unknown;

/** An anywidget model with a kernel behind it; `answer` may throw `{message, hint}`. */
export class FakeModel implements MessageModel {
  readonly requests: Request[] = [];
  readonly traits: Record<string, unknown>;
  silent = false;
  buffers: DataView[] = [];
  private readonly listeners = new Map<string, Set<(...args: never[]) => void>>();

  constructor(
    private readonly answer: Answering,
    traits: Record<string, unknown> = {},
  ) {
    this.traits = traits;
  }

  get(name: string): unknown {
    return this.traits[name];
  }

  /** A change made in Python. */
  assign(name: string, value: unknown): void {
    this.traits[name] = value;
    this.emit(`change:${name}`);
  }

  send(content: unknown): void {
    const request = content as Request;
    this.requests.push(request);
    if (this.silent) return;
    queueMicrotask(() => this.reply(request));
  }

  reply(request: Request): void {
    let reply: object;
    try {
      reply = { id: request.id, ok: true, result: this.answer(request) };
    } catch (error) {
      reply = { id: request.id, ok: false, error };
    }
    this.emit("msg:custom", reply, this.buffers);
  }

  on(event: string, callback: (...args: never[]) => void): void {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(callback));
  }

  off(event: string, callback: (...args: never[]) => void): void {
    this.listeners.get(event)?.delete(callback);
  }

  emit(event: string, ...args: unknown[]): void {
    for (const callback of this.listeners.get(event) ?? []) callback(...(args as never[]));
  }

  listening(): number {
    return [...this.listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }
}

/** What nbtrack's Python half answers, out of a snapshot. */
export function kernelOf(data: Snapshot): Answering {
  return ({ op, params }) => {
    switch (op) {
      case "runs.search":
        return data.runs;
      case "metrics.history":
        return data.histories.filter(
          ({ run_id, key }) => key === params.key && (params.run_ids as string[]).includes(run_id),
        );
      case "runs.details": {
        const id = String(params.run_id);
        const found = Object.hasOwn(data.details, id) ? data.details[id] : undefined;
        if (!found) throw { message: "There is no run 'zzz'.", hint: "List the runs." };
        const run = data.runs.runs.find((row) => row.run_id === id);
        return { ...found, run, cell: { source: "model.fit(X, y)", execution_count: 4 } };
      }
      case "runs.plots":
        return params.run_id === "a" ? data.plots?.a : [];
      case "models.search":
        return data.models;
      case "models.register":
        return { name: params.name, version: 2 };
      case "bundle":
        return { encoding: "gzip" };
      case "state":
        return null;
      default:
        throw { message: `There is no operation '${op}'.`, hint: null };
    }
  };
}

/** Lets promises and Preact's renders happen. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setTimeout(resolve, 2));
}
