import { describe, expect, it } from "vitest";
import type { Num } from "../src/data/source";
import {
  classOf,
  columnsOf,
  differing,
  direction,
  metricKeys,
  modelsDiffer,
  nextSort,
  paramKeys,
  sortRuns,
} from "../src/ui/columns";
import { filterRuns } from "../src/ui/filter";
import { MODEL, metric, run } from "./fixtures";

function byMetric(values: (Num | undefined)[], desc: boolean): string[] {
  const runs = values.map((value, i) =>
    run(String(i), { metrics: value === undefined ? {} : { m: metric(value) } }),
  );
  const sorted = sortRuns(runs, columnsOf(runs, [], false), { id: "metrics.m", desc });
  return sorted.map((row) => String(row.metrics.m?.last ?? "missing"));
}

function byParam(values: (string | undefined)[], desc: boolean): (string | undefined)[] {
  const runs = values.map((value, i) =>
    run(String(i), { params: value === undefined ? {} : { p: value } }),
  );
  const sorted = sortRuns(runs, columnsOf(runs, ["p"], false), { id: "params.p", desc });
  return sorted.map((row) => row.params.p);
}

describe("sorting", () => {
  it("puts missing and NaN last, both ways, and infinities at their ends", () => {
    const values: (Num | undefined)[] = ["NaN", 2, undefined, "Infinity", -1, "-Infinity", 10];
    expect(byMetric(values, false)).toEqual([
      "-Infinity",
      "-1",
      "2",
      "10",
      "Infinity",
      "NaN",
      "missing",
    ]);
    expect(byMetric(values, true)).toEqual([
      "Infinity",
      "10",
      "2",
      "-1",
      "-Infinity",
      "NaN",
      "missing",
    ]);
  });

  it("orders parameters that are numbers by size, whatever their notation", () => {
    expect(byParam(["10", "1e-05", "-3", undefined, "0.2"], false)).toEqual([
      "-3",
      "1e-05",
      "0.2",
      "10",
      undefined,
    ]);
  });

  it("puts numbers before words, and missing last both ways", () => {
    const values = ["auto", undefined, "10", "None", "9"];
    expect(byParam(values, false)).toEqual(["9", "10", "auto", "None", undefined]);
    expect(byParam(values, true)).toEqual(["None", "auto", "10", "9", undefined]);
  });

  it("keeps the order of equals, and of an unknown column", () => {
    const runs = ["x", "y", "z"].map((id) => run(id, { run_name: "same" }));
    const columns = columnsOf(runs, [], false);
    expect(sortRuns(runs, columns, { id: "name", desc: true }).map((r) => r.run_id)).toEqual([
      "x",
      "y",
      "z",
    ]);
    expect(sortRuns(runs, columns, { id: "metrics.gone", desc: true })).toBe(runs);
  });

  it("goes from the first way to the other and off", () => {
    const runs = [run("a", { metrics: { m: metric(1) } })];
    const columns = columnsOf(runs, [], false);
    const name = columns.find((column) => column.id === "name");
    const best = columns.find((column) => column.id === "metrics.m");
    if (!name || !best) throw new Error("both columns were expected");
    expect(nextSort(name, null)).toEqual({ id: "name", desc: false });
    expect(nextSort(name, { id: "name", desc: false })).toEqual({ id: "name", desc: true });
    expect(nextSort(name, { id: "name", desc: true })).toBeNull();
    expect(nextSort(best, { id: "name", desc: true })).toEqual({ id: "metrics.m", desc: true });
  });
});

describe("columns", () => {
  it("has the metrics of most runs first, and last what training tells, and times", () => {
    const one = metric(1);
    const runs = [
      run("a", { metrics: { rare: one, fit_time_s: one, common: one } }),
      run("b", { metrics: { fit_time_s: one, common: one, training_score: one } }),
      run("c", { metrics: { fit_time_s: one, training_score: one, n_iter: one } }),
    ];
    const last = ["fit_time_s", "n_iter", "training_score"];
    expect(metricKeys(runs)).toEqual(["common", "rare", ...last]);
  });

  it("names a model by its class, without the modules", () => {
    const model = { artifact_path: "model", flavor: "sklearn", size_bytes: 1 };
    const named = (model_class: string) =>
      classOf(run("a", { models: [{ ...model, model_class }] }));
    expect(named("sklearn.pipeline.Pipeline")).toBe("Pipeline");
    expect(named("")).toBe("sklearn");
    expect(classOf(run("a", { models: [] }))).toBeUndefined();
  });

  it("take keys that objects inherit for names like any other", () => {
    const runs = [
      run("a", { params: { constructor: "1" } }),
      run("b", { params: { constructor: "2" } }),
    ];
    const keys = paramKeys(runs);
    expect(keys).toEqual(["constructor"]);
    expect(differing(runs, keys)).toEqual(["constructor"]);
    const sorted = sortRuns(runs, columnsOf(runs, keys, false), {
      id: "params.constructor",
      desc: false,
    });
    expect(sorted.map((row) => row.run_id)).toEqual(["a", "b"]);
  });

  it("leave out what is the same in all runs that have it", () => {
    const runs = [
      run("a", { params: { same: "1", other: "1", some: "x" } }),
      run("b", { params: { same: "1", other: "2" } }),
    ];
    expect(differing(runs, ["same", "other", "some"])).toEqual(["other"]);
    expect(differing(runs.slice(0, 1), ["same"])).toEqual(["same"]);
  });

  it("mark the best value only where its direction is known", () => {
    const runs = [
      run("a", { metrics: { accuracy: metric(0.9), loss: metric(0.1), alpha: metric(3) } }),
      run("b", { metrics: { accuracy: metric(0.8), loss: metric("NaN"), alpha: metric(4) } }),
      run("c", { metrics: { accuracy: metric(0.9), loss: metric(0.3) } }),
    ];
    const best = Object.fromEntries(
      columnsOf(runs, [], false).map((column) => [column.id, [...column.best]]),
    );
    expect(best["metrics.accuracy"]).toEqual(["a", "c"]);
    expect(best["metrics.loss"]).toEqual(["a"]);
    expect(best["metrics.alpha"]).toEqual([]);
  });

  it("know the direction by whole words only", () => {
    expect(["val_accuracy", "r2", "test-F1", "roc_auc"].map(direction)).toEqual(
      Array(4).fill("up"),
    );
    expect(["val_loss", "mean_squared_error", "fit_time", "RMSE"].map(direction)).toEqual(
      Array(4).fill("down"),
    );
    expect(["pace", "f10", "neg_log_loss", "error_score", "timeline"].map(direction)).toEqual(
      Array(5).fill(null),
    );
  });

  it("show the model's class when there is a choice of them", () => {
    const forest = run("a", { models: [MODEL] });
    const other = run("b", { models: [{ ...MODEL, model_class: "SVC" }] });
    expect(modelsDiffer([run("c")], true)).toBe(false);
    expect(modelsDiffer([forest], true)).toBe(true);
    expect(modelsDiffer([forest, forest], true)).toBe(false);
    expect(modelsDiffer([forest, forest], false)).toBe(true);
    expect(modelsDiffer([forest, other], true)).toBe(true);
  });
});

describe("the filter", () => {
  const runs = [
    run("a", { run_name: "Calm Otter", params: { max_depth: "3" }, models: [MODEL] }),
    run("b", {
      run_name: "brave crane",
      metrics: { auc: metric(0.5) },
      tags: { team: "x y", "mlflow.user": "root" },
    }),
    run("c", { registered: [{ name: "iris", version: 2 }], error: "ValueError: boom" }),
  ];
  const found = (text: string) => filterRuns(runs, text).map((row) => row.run_id);

  it("looks in all names and values, in any case", () => {
    expect(found("otter")).toEqual(["a"]);
    expect(found("MAX_DEPTH=3")).toEqual(["a"]);
    expect(found("forest")).toEqual(["a"]);
    expect(found("auc")).toEqual(["b"]);
    expect(found("iris v2")).toEqual(["c"]);
    expect(found("boom")).toEqual(["c"]);
    expect(found("team=x")).toEqual(["b"]);
  });

  it("leaves out the bookkeeping that every run has", () => {
    expect(found("root")).toEqual([]);
  });

  it("wants every word, and keeps all runs without one", () => {
    expect(found("calm 3")).toEqual(["a"]);
    expect(found("calm crane")).toEqual([]);
    expect(filterRuns(runs, "   ")).toBe(runs);
  });

  it("takes signs of patterns for themselves", () => {
    expect(found(".*")).toEqual([]);
    expect(found("(")).toEqual([]);
  });
});
