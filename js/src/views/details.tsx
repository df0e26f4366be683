/** One run in full: what went in, what came out, the cell that made it. */

import { useEffect, useRef } from "preact/hooks";
import type { DataSource, Num, RunDetails, RunRow } from "../data/source";
import { Badges, Status } from "../ui/cells";
import { metricKeys, own } from "../ui/columns";
import { CopyLine } from "../ui/copy";
import {
  exactNumber,
  formatBytes,
  formatDuration,
  formatNumber,
  formatTime,
  oneLine,
} from "../ui/format";
import { useLoad } from "../ui/hooks";
import { Icon } from "../ui/icons";
import { ErrorBox, Loading } from "../ui/message";
import { Data } from "./inputs";
import { Notices } from "./notices";
import { Pictures } from "./pictures";
import { Facts, Section } from "./section";

interface Props {
  source: DataSource;
  /** As the table has it; newer than the details when these were loaded earlier. */
  run: RunRow;
  /** Opens the earlier run that this one is the same as; null if it is not here. */
  openTwin: (() => void) | null;
  onClose(): void;
}

export function Details({ source, run, openTwin, onClose }: Props) {
  const loaded = useLoad(() => source.details(run.run_id), [source, run.run_id, run.status]);
  const panel = useRef<HTMLElement>(null);
  // The panel is brought into view per run.
  useEffect(() => panel.current?.scrollIntoView?.({ block: "nearest" }), [run.run_id]);
  // While another run's details are on their way, the old ones must not stand under its name.
  const details = loaded.data?.run.run_id === run.run_id ? loaded.data : null;
  return (
    <aside
      class="nbt-details"
      data-testid="nbt-details"
      aria-label={`Details of ${oneLine(run.run_name, 80)}`}
      ref={panel}
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      <header>
        <h3 title={run.run_name}>
          <bdi>{oneLine(run.run_name)}</bdi>
        </h3>
        <button
          type="button"
          class="nbt-button nbt-quiet"
          aria-label="Close details"
          onClick={onClose}
        >
          <Icon name="close" />
        </button>
      </header>
      <p class="nbt-meta">
        <Status status={run.status} />
        <span>{formatTime(run.start_time)}</span>
        {run.duration_ms !== null && <span>{formatDuration(run.duration_ms)}</span>}
        {run.user_id && <span>{oneLine(run.user_id, 60)}</span>}
        <Badges run={run} />
      </p>
      <Notices run={run} openTwin={openTwin} />
      {run.error && (
        <Section title="Error">
          <pre class="nbt-code nbt-traceback">{run.error}</pre>
        </Section>
      )}
      <Metrics run={run} />
      {details && <Pictures source={source} details={details} />}
      <Section title="Params" count={Object.keys(run.params).length}>
        <Facts facts={run.params} none="This run has no parameters." />
      </Section>
      {loaded.error !== null && <ErrorBox error={loaded.error} retry={loaded.reload} />}
      {details ? (
        <Rest details={details} />
      ) : (
        loaded.error === null && <Loading text="Loading details…" />
      )}
    </aside>
  );
}

function Metrics({ run }: { run: RunRow }) {
  const metrics = metricKeys([run]).flatMap((key) => {
    const summary = own(run.metrics, key);
    return summary ? [[key, summary] as const] : [];
  });
  // A metric logged once has its smallest and largest value in its last.
  const curves = metrics.some(([, summary]) => summary.count > 1);
  return (
    <Section title="Metrics" count={metrics.length}>
      {metrics.length === 0 && <p class="nbt-note">This run has no metrics.</p>}
      <table class="nbt-small">
        {curves && (
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Last</th>
              <th scope="col">Min</th>
              <th scope="col">Max</th>
              <th scope="col">Points</th>
            </tr>
          </thead>
        )}
        <tbody>
          {metrics.map(([key, { last, min, max, count }]) => (
            <tr key={key}>
              <th scope="row" title={key}>
                <bdi>{oneLine(key, 120)}</bdi>
              </th>
              <NumberCell value={last} />
              {curves && (
                <>
                  <NumberCell value={min} />
                  <NumberCell value={max} />
                  <td>{count.toLocaleString("en")}</td>
                </>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  );
}

function NumberCell({ value }: { value: Num }) {
  return <td title={exactNumber(value)}>{formatNumber(value)}</td>;
}

/** What only the details know; the row has the rest. */
function Rest({ details }: { details: RunDetails }) {
  const { run, inputs, artifacts, cell } = details;
  return (
    <>
      {run.models.map((model) => (
        <Section key={model.artifact_path} title="Model">
          <p class="nbt-meta">
            <strong>{oneLine(model.model_class, 120)}</strong>
            <span>{oneLine(model.flavor, 60)}</span>
            <span>{formatBytes(model.size_bytes)}</span>
          </p>
          <CopyLine text={`nbtrack.load_model("runs:/${run.run_id}/${model.artifact_path}")`} />
        </Section>
      ))}
      {inputs.length > 0 && (
        <Section title="Data" count={inputs.length}>
          {inputs.map((input) => (
            <Data key={`${input.context} ${input.name} ${input.digest}`} input={input} />
          ))}
        </Section>
      )}
      {cell && (
        <Section title={cell.execution_count === null ? "Cell" : `Cell [${cell.execution_count}]`}>
          <pre class="nbt-code">{cell.source}</pre>
          {run.notebook && <p class="nbt-note">{oneLine(run.notebook, 300)}</p>}
        </Section>
      )}
      {artifacts.length > 0 && (
        <Section title="Files" count={artifacts.length} folded>
          <table class="nbt-small">
            <tbody>
              {artifacts.map((artifact) => (
                <tr key={artifact.path}>
                  <th scope="row" title={`${artifact.path}\n${artifact.digest}`}>
                    <bdi>{oneLine(artifact.path, 200)}</bdi>
                  </th>
                  <td>{formatBytes(artifact.size_bytes)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Section>
      )}
      {Object.keys(run.tags).length > 0 && (
        <Section title="Tags" count={Object.keys(run.tags).length} folded>
          <Facts facts={run.tags} none="" />
        </Section>
      )}
      <Section title="Environment" folded>
        <Facts facts={details.environment} none="No environment was recorded." />
      </Section>
      <p class="nbt-note nbt-id">
        run id <code>{run.run_id}</code>
      </p>
    </>
  );
}
