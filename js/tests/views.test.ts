import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Snapshot, snapshotSource } from "../src/data/snapshot";
import type { DataSource, RunRow } from "../src/data/source";
import { SourceError } from "../src/data/source";
import { type Kept, keep } from "../src/hosts/keep";
import {
  COMPARE_STATE,
  type CompareSpec,
  type CompareState,
  mountCompare,
} from "../src/views/compare";
import { mountModels } from "../src/views/models";
import { mountReport } from "../src/views/report";
import { metric, run, settle, snapshot } from "./fixtures";

const PLOTLY = {
  react: async () => undefined,
  purge: () => undefined,
  Plots: { resize: () => undefined },
};

let el: HTMLElement;
const open: { dispose(): void }[] = [];
beforeEach(() => {
  el = document.createElement("div");
  document.body.append(el);
});
afterEach(() => {
  for (const view of open.splice(0)) view.dispose();
  el.remove();
});

const all = (id: string): HTMLElement[] => [
  ...document.querySelectorAll<HTMLElement>(`[data-testid="${id}"]`),
];
function one(id: string): HTMLElement {
  const [found] = all(id);
  if (!found) throw new Error(`nothing has the test id ${id}`);
  return found;
}
const order = () => all("nbt-row").map((row) => row.dataset.runId);
const ticked = () => all("nbt-row-checkbox").map((box) => (box as HTMLInputElement).checked);

async function type(id: string, text: string): Promise<void> {
  const field = one(id) as HTMLInputElement;
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  await settle();
}
async function click(target: HTMLElement, init: MouseEventInit = {}): Promise<void> {
  target.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ...init }));
  await settle();
}

async function compare(
  change: Partial<DataSource> = {},
  data: Snapshot = snapshot(),
  spec: CompareSpec = {},
): Promise<Kept<CompareSpec, CompareState>> {
  const source = { ...snapshotSource(data, PLOTLY), ...change };
  const view = keep(el, mountCompare, source, spec, COMPARE_STATE);
  open.push(view);
  await settle();
  return view;
}
const withRuns = (runs: RunRow[]): Snapshot => snapshot({ runs: { runs } });

describe("the table", () => {
  it("sorts by a click on a header and says so", async () => {
    await compare();
    const header = one("nbt-sort-metrics.accuracy");
    await click(header);
    expect(order()).toEqual(["b", "a", "c"]);
    expect(header.closest("th")?.getAttribute("aria-sort")).toBe("descending");
    await click(one("nbt-sort-metrics.accuracy"));
    expect(order()).toEqual(["a", "b", "c"]);
  });

  it("filters, counts, and offers a way back when nothing is left", async () => {
    await compare();
    await type("nbt-filter", "failed");
    expect(order()).toEqual(["c"]);
    expect(el.textContent).toContain("1 of 3 runs");
    await type("nbt-filter", "nothing like this");
    expect(order()).toEqual([]);
    expect(el.textContent).toContain("No run matches");
  });

  it("shows only what differs until told otherwise", async () => {
    const view = await compare({}, withRuns(snapshot().runs.runs.slice(0, 2)));
    expect(all("nbt-sort-params.C")).toHaveLength(1);
    expect(all("nbt-sort-params.kernel")).toHaveLength(0);
    view.update({ state: { ...view.state, differs: false } });
    expect(all("nbt-sort-params.kernel")).toHaveLength(1);
  });

  it("holds only the rows in sight when there are a thousand, and all of them for paper", async () => {
    const many = Array.from({ length: 1000 }, (_, i) => run(String(i)));
    const view = await compare({}, withRuns(many));
    expect(all("nbt-row").length).toBeLessThan(60);
    expect(all("nbt-row").length).toBeGreaterThan(10);
    view.update({ spec: { print: true } });
    expect(all("nbt-row")).toHaveLength(1000);
  });

  it("shows only the wanted runs", async () => {
    await compare({}, snapshot(), { run_ids: ["b", "gone"] });
    expect(order()).toEqual(["b"]);
  });

  it("selects a range with shift, and all with the box above", async () => {
    const view = await compare();
    const box = (i: number) => all("nbt-row-checkbox")[i] as HTMLElement;
    await click(box(0));
    expect(view.state.selected).toEqual(["a"]);
    await click(box(2), { shiftKey: true });
    expect(ticked()).toEqual([true, true, true]);
    const head = el.querySelector<HTMLInputElement>("thead input");
    if (!head) throw new Error("a box in the header was expected");
    expect(head.checked).toBe(true);
    await click(head);
    expect(view.state.selected).toEqual([]);
  });
});

describe("states", () => {
  it("no runs: what to do", async () => {
    await compare({}, withRuns([]));
    expect(el.textContent).toContain("No runs yet: run a cell with model.fit(...)");
  });

  it("a failure: what happened, what to do, and again", async () => {
    const runs = vi
      .fn()
      .mockRejectedValueOnce(new SourceError("The database is locked.", "Close the other one."))
      .mockResolvedValue(snapshot().runs);
    await compare({ runs });
    expect(el.textContent).toContain("The database is locked.Close the other one.");
    await click([...el.querySelectorAll("button")].at(-1) as HTMLElement);
    expect(order()).toHaveLength(3);
  });

  it("a failed refresh keeps the rows", async () => {
    let changed = () => undefined as unknown;
    const runs = vi
      .fn()
      .mockResolvedValueOnce(snapshot().runs)
      .mockRejectedValue(new SourceError("The kernel is busy or gone."));
    await compare({
      runs,
      onChange(listener) {
        changed = listener;
        return () => undefined;
      },
    });
    changed();
    await settle();
    expect(order()).toHaveLength(3);
    expect(el.textContent).toContain("The kernel is busy or gone.");
  });
});

it("a fault in a view is told in its place, and the view can be tried again", async () => {
  const broken = snapshot({ runs: { runs: [{ ...run("a"), models: null as never }] } });
  await compare({}, broken);
  expect(el.textContent).toContain("The view failed");
  expect(el.querySelector("button")?.textContent).toBe("Try again");
});

describe("registering", () => {
  const register = vi.fn(async (_: string, name: string) => ({ name, version: 2 }));
  const ok = () => click(one("nbt-register-ok"));
  async function dialog(change: Partial<DataSource> = {}): Promise<void> {
    await compare({ register, ...change });
    await click(all("nbt-row-checkbox")[0] as HTMLElement);
    await click(one("nbt-register"));
  }
  beforeEach(() => register.mockClear());

  it("is not there where the source cannot", async () => {
    await compare();
    expect(all("nbt-register")).toHaveLength(0);
  });

  it("wants exactly one run with a model, and says why not", async () => {
    const view = await compare({ register });
    const state = (selected: string[]) => {
      view.update({ state: { ...view.state, selected } });
      const button = one("nbt-register") as HTMLButtonElement;
      return [button.disabled, button.parentElement?.title];
    };
    expect(state([])).toEqual([true, "Select one run to register its model"]);
    expect(state(["a", "b"])[0]).toBe(true);
    expect(state(["c"])).toEqual([true, "The selected run has no model"]);
    expect(state(["a"])).toEqual([false, "Register the model of run a"]);
  });

  it.each(["", "  ", "a/b", "a:b", "x".repeat(251)])("refuses the name %j", async (name) => {
    await dialog();
    await type("nbt-register-name", name);
    await ok();
    expect(register).not.toHaveBeenCalled();
    expect(one("nbt-register-name").getAttribute("aria-invalid")).toBe("true");
  });

  it("registers, says which version, and asks for the runs again", async () => {
    const runs = vi.fn(async () => snapshot().runs);
    await dialog({ runs });
    await type("nbt-register-name", " iris ");
    await ok();
    expect(register).toHaveBeenCalledWith("a", "iris");
    expect(one("nbt-message").textContent).toBe("Registered iris version 2");
    expect(all("nbt-register-name")).toHaveLength(0);
    expect(runs).toHaveBeenCalledTimes(2);
  });

  it("keeps the dialog and its text when that fails, with the hint", async () => {
    register.mockRejectedValueOnce(new SourceError("The name is taken.", "Choose another."));
    await dialog();
    await type("nbt-register-name", "iris");
    await ok();
    const text = document.querySelector("dialog")?.textContent;
    expect(text).toContain("The name is taken.");
    expect(text).toContain("Choose another.");
    expect((one("nbt-register-name") as HTMLInputElement).value).toBe("iris");
    await ok();
    expect(register).toHaveBeenCalledTimes(2);
  });
});

describe("text from outside", () => {
  const evil = '<img src=x onerror="alert(1)"></script><b>&amp;';

  it("is text in the table, the details, the models and the report", async () => {
    const row = run("a", {
      run_name: evil,
      status: "FAILED",
      error: evil,
      params: { [evil]: evil },
      metrics: { [evil]: metric(1) },
      tags: { [evil]: evil },
      registered: [{ name: evil, version: 1 }],
    });
    const data = snapshot({ title: evil, database: evil, runs: { runs: [row] } });
    data.details = {
      a: {
        inputs: [
          { name: evil, context: evil, digest: evil, source_type: evil, schema: {}, profile: {} },
        ],
        artifacts: [{ path: evil, digest: evil, size_bytes: 1 }],
        cell: { source: evil, execution_count: 1 },
        environment: { [evil]: { deep: evil.repeat(3) } },
      },
    };
    data.models = [
      {
        name: evil,
        creation_timestamp: 1,
        last_updated_timestamp: 1,
        versions: [
          {
            version: 1,
            run_id: "a",
            run_name: evil,
            source: evil,
            creation_timestamp: 1,
            aliases: [evil],
          },
        ],
      },
    ];
    const spec = { title: evil, generated_ms: 1, nbtrack_version: evil, database: evil };
    const state = { ...COMPARE_STATE, open: "a" };
    open.push(keep(el, mountReport, snapshotSource(data, PLOTLY), spec, state));
    await settle();
    expect(one("nbt-details").querySelector("pre")?.textContent).toBe(evil);
    expect(one("nbt-models").textContent).toContain(evil);
    expect(el.querySelectorAll("img, script, b")).toHaveLength(0);
    expect(el.querySelector("h1")?.textContent).toBe(evil);
  });
});

describe("details and models", () => {
  it("draws the stored tables of a run", async () => {
    const view = await compare();
    view.update({ state: { ...view.state, open: "a" } });
    await settle();
    const matrix = one("nbt-details").querySelector(".nbt-matrix");
    expect([...(matrix?.querySelectorAll("td") ?? [])].map((cell) => cell.textContent)).toEqual([
      "7",
      "1",
      "0",
      "9",
    ]);
    view.update({ state: { ...view.state, open: "b" } });
    await settle();
    expect(one("nbt-details").querySelector(".nbt-picture")).toBeNull();
  });

  it("tells notices, warnings first, and opens the run that is the same", async () => {
    const data = snapshot();
    Object.assign(data.runs.runs[1]?.tags ?? {}, {
      "nbtrack.notice.identical_run": "Same data, params and code as run a (a).",
      "nbtrack.identical_run": "a",
      "nbtrack.notice.leakage": "3 of 9 rows were in the training data.",
    });
    const view = await compare({}, data);
    view.update({ state: { ...view.state, open: "b" } });
    await settle();
    const notices = [...one("nbt-details").querySelectorAll<HTMLElement>(".nbt-notices li")];
    expect(notices.map((notice) => notice.textContent)).toEqual([
      "3 of 9 rows were in the training data.",
      "Same data, params and code as run a (a).Open it",
    ]);
    const button = notices[1]?.querySelector("button");
    if (!button) throw new Error("there is no link");
    await click(button);
    expect(one("nbt-details").textContent).toContain("run a");
    expect(one("nbt-details").querySelector(".nbt-notices")).toBeNull();
  });

  it("open by the name, with the cell and how to load the model, and close again", async () => {
    const view = await compare();
    const name = all("nbt-row")[0]?.querySelector("button") as HTMLElement;
    await click(name);
    expect(view.state.open).toBe("a");
    expect(one("nbt-details").textContent).toContain("model.fit(X, y)");
    expect(one("nbt-details").textContent).toContain('nbtrack.load_model("runs:/a/model")');
    await click(name);
    expect(all("nbt-details")).toHaveLength(0);
  });

  it("show a failed run's error", async () => {
    const view = await compare();
    view.update({ state: { ...view.state, open: "c" } });
    await settle();
    expect(one("nbt-details").textContent).toContain("ValueError: NaN in X");
  });

  it("list versions with the line that loads each", async () => {
    open.push(keep(el, mountModels, snapshotSource(snapshot(), PLOTLY), {}, {}));
    await settle();
    expect(one("nbt-models").textContent).toContain('nbtrack.load_model("models:/iris/1")');
    expect(one("nbt-models").textContent).toContain("@champion");
  });
});
