/** The report's host: one script in a page that holds its data; nothing is fetched. */

import Plotly from "../charts/bundle";
import { type Snapshot, snapshotSource } from "../data/snapshot";
import { styles } from "../ui/styles";
import { COMPARE_STATE } from "../views/compare";
import { mountReport, type ReportSpec } from "../views/report";
import { keep } from "./keep";

function start(): void {
  const root = document.getElementById("nbtrack-report");
  const json = document.getElementById("nbtrack-data")?.textContent;
  if (!root || !json) throw new Error("This page holds no nbtrack report.");
  const data = JSON.parse(json) as Snapshot;
  const style = document.createElement("style");
  style.textContent = styles;
  document.head.append(style);
  document.documentElement.classList.add("nbt-page");
  const { title, generated_ms, nbtrack_version, database, notes = [] } = data;
  const spec: ReportSpec = { title, generated_ms, nbtrack_version, database, notes };
  root.replaceChildren();
  const view = keep(root, mountReport, snapshotSource(data, Plotly), spec, COMPARE_STATE);
  addEventListener("beforeprint", () => view.update({ spec: { ...spec, print: true } }));
  addEventListener("afterprint", () => view.update({ spec }));
}

if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
else start();
