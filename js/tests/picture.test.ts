import { describe, expect, it } from "vitest";
import { pictureInWords, pictureOf } from "../src/charts/picture";
import type { PlotTable } from "../src/data/source";
import { MATRIX } from "./fixtures";

function plot(kind: string, columns: PlotTable["columns"], meta: PlotTable["meta"] = {}) {
  return pictureOf({ name: `${kind}_X_test`, kind, columns, meta });
}

describe("what is drawn of a stored table", () => {
  it("a confusion matrix by label, pairs that do not occur being 0", () => {
    const { title, drawing } = pictureOf(MATRIX);
    expect(title).toBe("confusion matrix X test");
    expect(drawing).toEqual({
      kind: "matrix",
      labels: ["cat", "dog"],
      counts: [
        [7, 1],
        [0, 9],
      ],
    });
  });

  it("a ROC curve for each class, with its area", () => {
    const columns = { class: ["a", "a", "b"], fpr: [0, 1, 0.5], tpr: [0, 1, null], threshold: [] };
    const { note, drawing } = plot("roc_curve", columns, {
      auc: { a: 0.75, b: "NaN" },
      rows: 500_000,
      used: 200_000,
    });
    expect(note).toBe("AUC a 0.7500, b NaN · 200,000 of 500,000 rows");
    expect(drawing).toMatchObject({
      kind: "points",
      guide: "diagonal",
      series: [
        { name: "a", x: [0, 1], y: [0, 1] },
        { name: "b", x: [0.5], y: [null] },
      ],
    });
  });

  it("the longest bars first, of several classes with the class", () => {
    const columns = { class: ["x", "y"], feature: ["f", "f"], coefficient: [1, -3] };
    const picture = plot("coefficients", columns);
    expect(picture.drawing).toMatchObject({ bars: [{ name: "f · y" }, { name: "f · x" }] });
    expect(pictureInWords(picture)).toBe("coefficients X test. f · y: −3; f · x: 1.");
  });

  it("candidates of a search without times and folds, the best one marked", () => {
    const columns = {
      candidate: [4, 1],
      mean_fit_time: [1, 2],
      param_C: [0.1, 10],
      split0_test_score: [1, 1],
      mean_test_score: [0.5, 0.25],
      rank_test_score: [1, 2],
    };
    expect(plot("search", columns, { candidates: 9, best: 4 }).drawing).toEqual({
      kind: "grid",
      header: ["C", "mean_test_score"],
      rows: [
        ["0.1000", "0.5000"],
        ["10", "0.2500"],
      ],
      best: 0,
      more: 7,
    });
  });

  it("coefficients of several classes as a table that begins with the features", () => {
    const columns = { feature: ["f", "g"], "0": [1, 2], "1": [3, 4] };
    expect(plot("coefficients", columns).drawing).toMatchObject({
      header: ["feature", "0", "1"],
      rows: [
        ["f", "1", "3"],
        ["g", "2", "4"],
      ],
    });
  });

  it("a kind that is not known, or lacks its columns, is a table", () => {
    expect(plot("spiral", { angle: [1, null], name: ["<b>", "x"] }).drawing).toMatchObject({
      kind: "grid",
      rows: [
        ["1", "<b>"],
        ["–", "x"],
      ],
    });
    expect(plot("roc_curve", { class: ["a"] }).drawing.kind).toBe("grid");
    expect(plot("confusion_matrix", { label: [0, 1], true_positive: [3, 4] }).drawing.kind).toBe(
      "grid",
    );
  });
});
