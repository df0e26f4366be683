/** A report: when and of what, the numbers at a glance, then the other views. */

import type { RunRow } from "../data/source";
import { formatDuration, formatTime, oneLine } from "../ui/format";
import { useLoad } from "../ui/hooks";
import { Compare, type CompareSpec, type CompareState } from "./compare";
import { Models } from "./models";
import { mounting, type ViewProps } from "./view";

export interface ReportSpec extends CompareSpec {
  title: string;
  generated_ms: number;
  nbtrack_version: string;
  database: string;
  /** What the report leaves out, said aloud. */
  notes?: string[];
}

export function Report({ source, spec, state, onState }: ViewProps<ReportSpec, CompareState>) {
  const runs = useLoad(() => source.runs(), [source]);
  const models = useLoad(() => source.models(), [source]);
  const { title, ...inner } = spec;
  return (
    <div class="nbt nbt-report" data-testid="nbt-report">
      <header class="nbt-head">
        <h1 title={title}>{oneLine(title)}</h1>
        <p class="nbt-meta">
          <span title={spec.database}>
            <bdi>{oneLine(spec.database, 200)}</bdi>
          </span>
          <time dateTime={new Date(spec.generated_ms).toISOString()}>
            {formatTime(spec.generated_ms)}
          </time>
          <span>nbtrack {oneLine(spec.nbtrack_version, 40)}</span>
        </p>
      </header>
      {spec.notes?.map((note) => (
        <p class="nbt-note" key={note}>
          {note}
        </p>
      ))}
      {runs.data && models.data && <Glance runs={runs.data.runs} models={models.data.length} />}
      <h2>Runs</h2>
      <Compare source={source} spec={inner} state={state} onState={onState} />
      <h2>Registered models</h2>
      <Models source={source} spec={{}} state={{}} onState={() => undefined} />
    </div>
  );
}

function Glance({ runs, models }: { runs: RunRow[]; models: number }) {
  const failed = runs.filter((run) => run.status === "FAILED").length;
  const stopped = runs.filter((run) => run.status === "KILLED").length;
  const time = runs.reduce((sum, run) => sum + (run.duration_ms ?? 0), 0);
  const facts: [string, string][] = [
    ["Runs", runs.length.toLocaleString("en")],
    ...counted("Failed", failed),
    ...counted("Stopped", stopped),
    ["Time in runs", formatDuration(time)],
    ["Registered models", models.toLocaleString("en")],
  ];
  return (
    <dl class="nbt-glance">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A number that is only worth its place when it is not zero. */
function counted(name: string, count: number): [string, string][] {
  return count > 0 ? [[name, count.toLocaleString("en")]] : [];
}

export const mountReport = mounting(Report);
