/** What stands above the table: filter, columns, register. */

import { useId } from "preact/hooks";
import type { RunRow } from "../data/source";
import { oneLine, plural } from "../ui/format";
import { Icon } from "../ui/icons";
import type { CompareState } from "./compare";

interface Props {
  state: CompareState;
  patch(change: Partial<CompareState>): void;
  listed: number;
  all: number;
  /** The selected runs. */
  chosen: RunRow[];
  /** How many parameter columns are hidden for being the same everywhere. */
  same: number;
  params: number;
  onRegister?: (run: RunRow) => void;
}

export function Toolbar(props: Props) {
  const { state, patch, listed, all, chosen, same, params, onRegister } = props;
  return (
    <div class="nbt-toolbar">
      <label class="nbt-search">
        <Icon name="search" />
        <input
          type="search"
          data-testid="nbt-filter"
          placeholder="Filter runs"
          aria-label="Filter runs by any name or value"
          title="Every word must occur in a run: its name, a parameter such as max_depth=3, a metric, a tag"
          value={state.filter}
          onInput={(event) => patch({ filter: event.currentTarget.value })}
        />
      </label>
      <span class="nbt-count" role="status">
        {listed === all
          ? plural(all, "run")
          : `${listed.toLocaleString("en")} of ${plural(all, "run")}`}
        {chosen.length > 0 && (
          <>
            {` · ${chosen.length} selected `}
            <button type="button" class="nbt-link" onClick={() => patch({ selected: [] })}>
              clear
            </button>
          </>
        )}
      </span>
      <span class="nbt-space" />
      {params > 0 && all > 1 && (
        <label
          class="nbt-check"
          title="Leave out the parameters that are the same in all listed runs"
        >
          <input
            type="checkbox"
            checked={state.differs}
            onChange={(event) => patch({ differs: event.currentTarget.checked })}
          />
          Only what differs
          {state.differs && same > 0 && <span class="nbt-faint">{` (${same} hidden)`}</span>}
        </label>
      )}
      {onRegister && <RegisterButton chosen={chosen} onRegister={onRegister} />}
    </div>
  );
}

function RegisterButton({
  chosen,
  onRegister,
}: {
  chosen: RunRow[];
  onRegister: (run: RunRow) => void;
}) {
  const why = useId();
  const run = chosen.length === 1 ? chosen[0] : undefined;
  const obstacle = whyNot(chosen);
  return (
    // The title is on the wrapper: browsers show none for a disabled button.
    <span title={obstacle ?? `Register the model of ${oneLine(run?.run_name ?? "", 80)}`}>
      <button
        type="button"
        class="nbt-button nbt-primary"
        data-testid="nbt-register"
        disabled={obstacle !== null}
        aria-describedby={obstacle ? why : undefined}
        onClick={() => run && onRegister(run)}
      >
        <Icon name="tag" />
        Register model
      </button>
      {obstacle && (
        <span class="nbt-sr" id={why}>
          {obstacle}
        </span>
      )}
    </span>
  );
}

function whyNot(chosen: RunRow[]): string | null {
  const run = chosen[0];
  if (!run) return "Select one run to register its model";
  if (chosen.length > 1) return "Select only one run: a version has one model";
  if (run.models.length === 0) return "The selected run has no model";
  return null;
}
