/** The order of the layers: hosts, views, charts, ui, data. Imports point downwards only. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..", "src");
const LAYERS = ["data", "ui", "charts", "views", "hosts"];
const files = LAYERS.flatMap((layer) =>
  readdirSync(join(ROOT, layer))
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => ({
      layer,
      name: `${layer}/${name}`,
      text: readFileSync(join(ROOT, layer, name), "utf8"),
    })),
);

it.each(files)("$name imports from its own layer or a lower one", ({ layer, text }) => {
  for (const [, target = ""] of text.matchAll(/from "\.\.\/(\w+)\//g)) {
    expect(LAYERS.indexOf(target)).toBeLessThan(LAYERS.indexOf(layer));
  }
});

it("plotly.js is imported by its bundle only, and the bundle by the report only", () => {
  const importing = (pattern: RegExp) =>
    files.filter(({ text }) => pattern.test(text)).map(({ name }) => name);
  expect(importing(/from "plotly/)).toEqual(["charts/bundle.ts"]);
  expect(importing(/from ".*charts\/bundle"|from "\.\/bundle"/)).toEqual(["hosts/report.ts"]);
});

it("nothing turns text into markup", () => {
  const found = files.filter(({ text }) => /innerHTML|insertAdjacentHTML|outerHTML/.test(text));
  expect(found.map(({ name }) => name)).toEqual([]);
});
