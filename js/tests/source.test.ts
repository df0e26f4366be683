import { gzipSync } from "node:zlib";
import { describe, expect, it, vi } from "vitest";
import { snapshotSource } from "../src/data/snapshot";
import { type DataSource, numeric, SourceError } from "../src/data/source";
import { widgetSource } from "../src/data/widget";
import { FakeModel, kernelOf, snapshot } from "./fixtures";

const PLOTLY = { react: () => undefined };

const sources: [string, () => DataSource][] = [
  ["snapshot", () => snapshotSource(snapshot(), PLOTLY)],
  ["widget", () => widgetSource(new FakeModel(kernelOf(snapshot())))],
];

describe.each(sources)("every source: %s", (_, make) => {
  it("lists the runs", async () => {
    const { runs } = await make().runs();
    expect(runs.map((row) => row.run_id)).toEqual(["a", "b", "c"]);
  });

  it("gives the points of the wanted runs and metric only", async () => {
    const series = await make().history(["b"], "loss");
    expect(series.map(({ run_id, values }) => [run_id, values])).toEqual([["b", [3, 1, "NaN"]]]);
    expect(await make().history(["a"], "accuracy")).toEqual([]);
    expect(await make().history([], "loss")).toEqual([]);
  });

  it("gives details with the cell's own source", async () => {
    const details = await make().details("a");
    expect(details.run.run_id).toBe("a");
    expect(details.cell).toEqual({ source: "model.fit(X, y)", execution_count: 4 });
  });

  it("says which run it cannot find, with a hint", async () => {
    const error = await make()
      .details("zzz")
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SourceError);
    expect((error as SourceError).hint).toBeTruthy();
    await expect(make().details("constructor")).rejects.toBeInstanceOf(SourceError);
  });

  it("gives the tables to be drawn of a run, or none", async () => {
    expect((await make().plots("a")).map(({ kind }) => kind)).toEqual(["confusion_matrix"]);
    expect(await make().plots("b")).toEqual([]);
    expect(await make().plots("constructor")).toEqual([]);
  });

  it("lists the registered models", async () => {
    expect((await make().models()).map((model) => model.name)).toEqual(["iris"]);
  });
});

describe("what a source cannot do is not there", () => {
  it("a snapshot neither registers nor changes", () => {
    const source = snapshotSource(snapshot(), PLOTLY);
    expect(source.register).toBeUndefined();
    expect(source.onChange).toBeUndefined();
  });

  it("a widget does both", async () => {
    const source = widgetSource(new FakeModel(kernelOf(snapshot())));
    expect(await source.register?.("a", "iris")).toEqual({ name: "iris", version: 2 });
    expect(source.onChange).toBeDefined();
  });
});

describe("messages", () => {
  it("match replies to requests by id, in whatever order they come", async () => {
    const model = new FakeModel(kernelOf(snapshot()));
    model.silent = true;
    const source = widgetSource(model);
    const runs = source.runs();
    const models = source.models();
    const [first, second] = model.requests;
    if (!first || !second) throw new Error("two requests were expected");
    expect(first.id).not.toBe(second.id);
    model.reply(second);
    model.reply(first);
    expect((await runs).runs).toHaveLength(3);
    expect(await models).toHaveLength(1);
  });

  it("of another view of the same model are left alone", async () => {
    const model = new FakeModel(kernelOf(snapshot()));
    const [one, two] = [widgetSource(model), widgetSource(model)];
    await Promise.all([one.runs(), two.runs()]);
    expect(new Set(model.requests.map((request) => request.id)).size).toBe(2);
  });

  it("carry the kernel's error and hint", async () => {
    const model = new FakeModel(() => {
      throw { message: "The database is locked.", hint: "Close the other notebook." };
    });
    await expect(widgetSource(model).runs()).rejects.toMatchObject({
      message: "The database is locked.",
      hint: "Close the other notebook.",
    });
  });

  it("that are never answered end with an honest sentence", async () => {
    vi.useFakeTimers();
    try {
      const model = new FakeModel(() => null);
      model.silent = true;
      const asked = widgetSource(model, { timeoutMs: 60_000 }).runs();
      const failed = expect(asked).rejects.toThrow(/kernel is busy or gone.*60 seconds/);
      await vi.advanceTimersByTimeAsync(60_000);
      await failed;
    } finally {
      vi.useRealTimers();
    }
  });

  it("of a change reach the listeners until they stop", () => {
    const model = new FakeModel(() => null);
    const heard = vi.fn();
    const stop = widgetSource(model).onChange?.(heard);
    model.emit("msg:custom", { event: "changed" }, []);
    model.emit("msg:custom", { event: "other" }, []);
    model.emit("msg:custom", null, []);
    expect(heard).toHaveBeenCalledTimes(1);
    stop?.();
    model.emit("msg:custom", { event: "changed" }, []);
    expect(heard).toHaveBeenCalledTimes(1);
  });

  it("are no longer heard, nor awaited, after dispose", async () => {
    const model = new FakeModel(() => null);
    model.silent = true;
    const source = widgetSource(model);
    const asked = expect(source.runs()).rejects.toThrow("closed");
    source.dispose();
    await asked;
    expect(model.listening()).toBe(0);
  });
});

describe("the chart library", () => {
  const key = Symbol.for("nbtrack.plotly.4.1.1-1");
  const forget = () => Reflect.deleteProperty(globalThis, key);

  function modelWith(bytes: Uint8Array): FakeModel {
    const model = new FakeModel(kernelOf(snapshot()));
    // A view into a larger buffer, as comms deliver them.
    const padded = new Uint8Array(bytes.length + 3);
    padded.set(bytes, 3);
    model.buffers = [new DataView(padded.buffer, 3)];
    return model;
  }

  it("is asked for once per page, and un-gzipped", async () => {
    forget();
    const model = modelWith(gzipSync("export default 1"));
    const importModule = vi.fn(async (code: Blob) => ({ code: await code.text() }));
    const first = await widgetSource(model, { importModule }).plotly();
    const second = await widgetSource(model, { importModule }).plotly();
    expect(first).toEqual({ code: "export default 1" });
    expect(second).toBe(first);
    expect(model.requests.map(({ op, params }) => [op, params])).toEqual([
      ["bundle", { name: "plotly" }],
    ]);
  });

  it("is asked for again after a failure", async () => {
    forget();
    const broken = new FakeModel(kernelOf(snapshot()));
    await expect(widgetSource(broken).plotly()).rejects.toThrow("chart library");
    const importModule = async () => PLOTLY;
    const model = modelWith(gzipSync("export default 1"));
    expect(await widgetSource(model, { importModule }).plotly()).toBe(PLOTLY);
    forget();
  });

  it("is loaded by the second view when the first was closed meanwhile", async () => {
    forget();
    const gone = new FakeModel(() => null);
    gone.silent = true;
    const closing = widgetSource(gone);
    const first = expect(closing.plotly()).rejects.toThrow("closed");
    const model = modelWith(gzipSync("export default 1"));
    const second = widgetSource(model, { importModule: async () => PLOTLY }).plotly();
    closing.dispose();
    await first;
    expect(await second).toBe(PLOTLY);
    forget();
  });
});

it("numbers that JSON cannot hold come back as numbers, NaN as nothing", () => {
  expect(["NaN", "Infinity", "-Infinity", 0].map((value) => numeric(value as never))).toEqual([
    undefined,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    0,
  ]);
  expect(numeric(undefined)).toBeUndefined();
});
