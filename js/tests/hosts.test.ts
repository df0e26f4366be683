import { afterEach, beforeEach, expect, it } from "vitest";
import widget from "../src/hosts/widget";
import { FakeModel, kernelOf, settle, snapshot } from "./fixtures";

let el: HTMLElement;
let dispose: () => void;
let model: FakeModel;

async function show(view: "compare" | "models", selected: string[] = []): Promise<void> {
  model = new FakeModel(kernelOf(snapshot()), { spec: { view }, selected });
  // The views use three members of what anywidget hands over.
  dispose = widget.render({ model, el } as never);
  await settle();
}
beforeEach(() => {
  el = document.createElement("div");
  document.body.append(el);
});
afterEach(() => {
  dispose();
  el.remove();
});

const boxes = () => [...el.querySelectorAll<HTMLInputElement>('[data-testid="nbt-row-checkbox"]')];
const ticked = () => boxes().map((box) => box.checked);
const states = () => model.requests.filter(({ op }) => op === "state").map(({ params }) => params);
async function click(index: number): Promise<void> {
  boxes()[index]?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
  await settle();
}

it("a selection made in Python shows in the page, and is not sent back", async () => {
  await show("compare", ["b"]);
  expect(ticked()).toEqual([false, true, false]);
  model.assign("selected", ["a", "c"]);
  expect(ticked()).toEqual([true, false, true]);
  expect(states()).toEqual([]);
});

it("a selection made in the page is told to Python", async () => {
  await show("compare");
  await click(1);
  await click(0);
  expect(states()).toEqual([{ selected: ["b"] }, { selected: ["b", "a"] }]);
});

it("a late echo of an earlier selection does not undo a later one", async () => {
  await show("compare");
  model.silent = true;
  await click(0);
  await click(1);
  model.assign("selected", ["a"]);
  expect(ticked()).toEqual([true, true, false]);
});

it("a change in the kernel asks for the runs again", async () => {
  await show("compare");
  const asked = () => model.requests.filter(({ op }) => op === "runs.search").length;
  expect(asked()).toBe(1);
  model.emit("msg:custom", { event: "changed" }, []);
  await settle();
  expect(asked()).toBe(2);
});

it("nothing but custom messages goes to the kernel", async () => {
  await show("compare");
  // FakeModel has no set() and no save_changes(): using them would have thrown.
  await click(0);
  expect(model.requests.every(({ id, op }) => id !== "" && op !== "")).toBe(true);
});

it("the view of models is shown when the spec says so", async () => {
  await show("models");
  expect(el.querySelector('[data-testid="nbt-models"]')?.textContent).toContain("iris");
});

it("a view that is taken away leaves nothing behind", async () => {
  await show("compare");
  dispose();
  expect(el.childElementCount).toBe(0);
  expect(model.listening()).toBe(0);
});
