/** The text filter: every word must occur somewhere in a run's names and values. */

import type { RunRow } from "../data/source";

const haystacks = new WeakMap<RunRow, string>();

export function filterRuns(runs: RunRow[], text: string): RunRow[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return runs;
  return runs.filter((run) => {
    const haystack = haystackOf(run);
    return words.every((word) => haystack.includes(word));
  });
}

function haystackOf(run: RunRow): string {
  const known = haystacks.get(run);
  if (known !== undefined) return known;
  const parts = [
    run.run_name,
    run.run_id,
    run.experiment,
    run.status,
    run.user_id,
    run.notebook ?? "",
    run.error ?? "",
    ...Object.entries(run.params).map(([key, value]) => `${key}=${value}`),
    ...Object.entries(run.metrics).map(([key, summary]) => `${key}=${summary.last}`),
    // Not the bookkeeping: who is looked for by "local" or "root" is not every run.
    ...Object.entries(run.tags)
      .filter(([key]) => !key.startsWith("mlflow."))
      .map(([key, value]) => `${key}=${value}`),
    ...run.models.map((model) => `${model.flavor} ${model.model_class}`),
    ...run.registered.map((model) => `${model.name} v${model.version}`),
  ];
  // A separator that nobody types keeps a word from matching across two values.
  const haystack = parts.join("\u0000").toLowerCase();
  haystacks.set(run, haystack);
  return haystack;
}
