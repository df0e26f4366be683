/** What nbtrack has to tell of a run; the earlier run that it names is a button. */

import type { RunRow } from "../data/source";
import { oneLine } from "../ui/format";

interface Props {
  run: RunRow;
  /** Opens the earlier run that this one is the same as; null if it is not here. */
  openTwin: (() => void) | null;
}

// As in nbtrack/types.py.
const NOTICE = "nbtrack.notice.";
export const TWIN = "nbtrack.identical_run";
const WARNINGS = new Set(["leakage"]);

export function Notices({ run, openTwin }: Props) {
  const notices = Object.entries(run.tags)
    .filter(([key]) => key.startsWith(NOTICE))
    .map(([key, text]) => ({ kind: key.slice(NOTICE.length), text }))
    .sort((a, b) => Number(WARNINGS.has(b.kind)) - Number(WARNINGS.has(a.kind)));
  if (notices.length === 0) return null;
  return (
    <ul class="nbt-notices">
      {notices.map(({ kind, text }) => (
        <li key={kind} class={WARNINGS.has(kind) ? "nbt-warning" : undefined}>
          <bdi>{oneLine(text, 500)}</bdi>
          {kind === "identical_run" && openTwin && (
            <button type="button" class="nbt-link" onClick={openTwin}>
              Open it
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}
