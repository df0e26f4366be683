/** Runs side by side: filter, sort, select, chart, register. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { MetricChart } from "../charts/metric";
import type { RunRow } from "../data/source";
import {
  columnsOf,
  differing,
  metricKeys,
  modelsDiffer,
  paramKeys,
  type Sort,
  sortRuns,
} from "../ui/columns";
import { filterRuns } from "../ui/filter";
import { useLoad, useNow } from "../ui/hooks";
import { Empty, ErrorBox, Loading } from "../ui/message";
import { RunTable } from "../ui/table";
import { Details } from "./details";
import { TWIN } from "./notices";
import { RegisterDialog } from "./register";
import { Toolbar } from "./toolbar";
import { mounting, type ViewProps } from "./view";

export interface CompareSpec {
  title?: string;
  /** The metric charted until the user chooses another. */
  metric?: string | null;
  /** Only these runs; null or missing: all. */
  run_ids?: string[] | null;
  /** All rows are rendered, for paper. */
  print?: boolean;
}

export interface CompareState {
  selected: string[];
  sort: Sort | null;
  metric: string | null;
  filter: string;
  differs: boolean;
  /** The run whose details are open. */
  open: string | null;
  /** Columns beyond the first few dozen are shown too. */
  wide: boolean;
}

export const COMPARE_STATE: CompareState = {
  selected: [],
  sort: null,
  metric: null,
  filter: "",
  differs: true,
  open: null,
  wide: false,
};

/** Rendering hundreds of columns would make scrolling slow, and nobody reads them all. */
const FIRST_COLUMNS = 48;

export function Compare({ source, spec, state, onState }: ViewProps<CompareSpec, CompareState>) {
  const loaded = useLoad(() => source.runs(), [source]);
  const now = useNow();
  const [registering, setRegistering] = useState<RunRow | null>(null);
  const [said, setSaid] = useState("");
  useEffect(() => source.onChange?.(loaded.reload), [source, loaded.reload]);

  const patch = (change: Partial<CompareState>) => onState({ ...state, ...change });
  const wanted = spec.run_ids ?? null;
  const runs = useMemo(() => {
    const all = loaded.data?.runs ?? [];
    return wanted ? all.filter((run) => wanted.includes(run.run_id)) : all;
  }, [loaded.data, wanted]);
  const filtered = useMemo(() => filterRuns(runs, state.filter), [runs, state.filter]);
  const allParams = useMemo(() => paramKeys(runs), [runs]);
  const params = useMemo(() => {
    if (!state.differs) return allParams;
    return differing(filtered.length > 1 ? filtered : runs, allParams);
  }, [runs, filtered, allParams, state.differs]);
  const columns = useMemo(
    () => columnsOf(runs, params, modelsDiffer(runs, state.differs)),
    [runs, params, state.differs],
  );
  const shown = state.wide ? columns : columns.slice(0, FIRST_COLUMNS);
  const sorted = useMemo(
    () => sortRuns(filtered, columns, state.sort),
    [filtered, columns, state.sort],
  );
  const selected = useMemo(() => new Set(state.selected), [state.selected]);
  const metrics = useMemo(() => metricKeys(runs), [runs]);
  const metric = [state.metric, spec.metric, metrics[0]].find(
    (key): key is string => typeof key === "string" && metrics.includes(key),
  );
  const chosen = runs.filter((run) => selected.has(run.run_id));
  const opened = runs.find((run) => run.run_id === state.open);
  const twin = runs.find((run) => run.run_id === opened?.tags[TWIN]);

  if (loaded.data === null) {
    return (
      <Frame title={spec.title}>
        {loaded.error === null ? (
          <Loading text="Loading runs…" />
        ) : (
          <ErrorBox error={loaded.error} retry={loaded.reload} />
        )}
      </Frame>
    );
  }
  return (
    <Frame title={spec.title}>
      {loaded.error !== null && <ErrorBox error={loaded.error} retry={loaded.reload} />}
      {runs.length === 0 ? (
        <Empty>
          <p>
            No runs yet: run a cell with <code>model.fit(...)</code>.
          </p>
        </Empty>
      ) : (
        <>
          <Toolbar
            state={state}
            patch={patch}
            listed={filtered.length}
            all={runs.length}
            chosen={chosen}
            same={allParams.length - params.length}
            params={allParams.length}
            {...(source.register && { onRegister: setRegistering })}
          />
          <p class="nbt-toast" data-testid="nbt-message" role="status">
            {said}
          </p>
          <div class={opened ? "nbt-split" : undefined}>
            <div class="nbt-main">
              {sorted.length === 0 ? (
                <Empty>
                  <p>No run matches this filter.</p>
                  <button type="button" class="nbt-button" onClick={() => patch({ filter: "" })}>
                    Clear the filter
                  </button>
                </Empty>
              ) : (
                <RunTable
                  runs={sorted}
                  columns={shown}
                  sort={state.sort}
                  selected={selected}
                  open={state.open}
                  now={now}
                  print={spec.print ?? false}
                  onSort={(sort) => patch({ sort })}
                  onSelect={(ids) => patch({ selected: [...ids] })}
                  onOpen={(id) => patch({ open: id === state.open ? null : id })}
                />
              )}
              {shown.length < columns.length && (
                <p class="nbt-note">
                  {`The first ${FIRST_COLUMNS} of ${columns.length} columns. `}
                  <button type="button" class="nbt-link" onClick={() => patch({ wide: true })}>
                    Show all
                  </button>
                </p>
              )}
              {metric === undefined ? (
                <p class="nbt-note">
                  These runs have no metrics. Call <code>model.score(X_test, y_test)</code> after a
                  fit, and the score is kept with its run.
                </p>
              ) : (
                sorted.length > 0 && (
                  <MetricChart
                    source={source}
                    metric={metric}
                    metrics={metrics}
                    onMetric={(key) => patch({ metric: key })}
                    visible={sorted}
                    selected={selected}
                  />
                )
              )}
            </div>
            {opened && (
              <Details
                source={source}
                run={opened}
                openTwin={twin ? () => patch({ open: twin.run_id }) : null}
                onClose={() => patch({ open: null })}
              />
            )}
          </div>
        </>
      )}
      {registering && source.register && (
        <RegisterDialog
          run={registering}
          register={source.register.bind(source)}
          models={source.models.bind(source)}
          onClose={() => setRegistering(null)}
          onDone={({ name, version }) => {
            setRegistering(null);
            setSaid(`Registered ${name} version ${version}`);
            loaded.reload();
          }}
        />
      )}
    </Frame>
  );
}

function Frame({
  title,
  children,
}: {
  title: string | undefined;
  children: preact.ComponentChildren;
}) {
  return (
    <section class="nbt" data-testid="nbt-compare" aria-label={title ?? "Runs"}>
      {title && <h2 class="nbt-title">{title}</h2>}
      {children}
    </section>
  );
}

export const mountCompare = mounting(Compare);
