/** The notebook's host: an anywidget whose kernel half answers messages. */

import type { AnyModel, RenderProps } from "@anywidget/types";
import { widgetSource } from "../data/widget";
import { styles } from "../ui/styles";
import { COMPARE_STATE, type CompareSpec, mountCompare } from "../views/compare";
import { mountModels } from "../views/models";
import { keep } from "./keep";

interface Traits {
  spec: CompareSpec & { view: "compare" | "models" };
  selected: string[];
}

function render({ model, el }: RenderProps<Traits>): () => void {
  const source = widgetSource(model);
  const style = document.createElement("style");
  style.textContent = styles;
  const root = document.createElement("div");
  // JupyterLab's one-key shortcuts (delete cell, enter edit mode) must not take keys typed here.
  root.dataset.lmSuppressShortcuts = "true";
  el.append(style, root);
  const stop =
    model.get("spec").view === "models"
      ? showModels(model, source, root)
      : showRuns(model, source, root);
  return () => {
    stop();
    source.dispose();
    style.remove();
    root.remove();
  };
}

type Source = ReturnType<typeof widgetSource>;

function showModels(model: AnyModel<Traits>, source: Source, root: HTMLElement): () => void {
  const view = keep(root, mountModels, source, model.get("spec"), {});
  return () => view.dispose();
}

function showRuns(model: AnyModel<Traits>, source: Source, root: HTMLElement): () => void {
  // Selections on their way to the kernel. Their echo is not news: by then the user may have
  // clicked on.
  const sent: string[] = [];
  const view = keep(
    root,
    mountCompare,
    source,
    model.get("spec"),
    { ...COMPARE_STATE, selected: model.get("selected") },
    (state, before) => {
      if (state.selected === before.selected) return;
      const text = JSON.stringify(state.selected);
      sent.push(text);
      const settled = () => {
        const place = sent.indexOf(text);
        if (place >= 0) sent.splice(place, 1);
      };
      // A kernel that is busy learns of the selection later, or with the next one; the page's own
      // state is what the user sees, so there is nothing to tell him.
      source.tellSelection(state.selected).then(settled, settled);
    },
  );
  const onSelected = () => {
    const selected = model.get("selected");
    if (sent.includes(JSON.stringify(selected))) return;
    view.update({ state: { ...view.state, selected } });
  };
  const onSpec = () => view.update({ spec: model.get("spec") });
  model.on("change:selected", onSelected);
  model.on("change:spec", onSpec);
  return () => {
    model.off("change:selected", onSelected);
    model.off("change:spec", onSpec);
    view.dispose();
  };
}

export default { render };
