/** The registered models, their versions, and how to load each. */

import { useEffect } from "preact/hooks";
import type { ModelVersion, RegisteredModel } from "../data/source";
import { CopyLine } from "../ui/copy";
import { formatAgo, formatTime, MISSING, oneLine, plural } from "../ui/format";
import { useLoad, useNow } from "../ui/hooks";
import { Empty, ErrorBox, Loading } from "../ui/message";
import { mounting, type ViewProps } from "./view";

export interface ModelsSpec {
  title?: string;
}

/** Nothing in this view is the user's to change yet. */
export type ModelsState = Record<string, never>;

export function Models({ source, spec }: ViewProps<ModelsSpec, ModelsState>) {
  const loaded = useLoad(() => source.models(), [source]);
  const now = useNow();
  useEffect(() => source.onChange?.(loaded.reload), [source, loaded.reload]);
  const models = loaded.data;
  return (
    <section class="nbt" data-testid="nbt-models" aria-label={spec.title ?? "Registered models"}>
      {spec.title && <h2 class="nbt-title">{spec.title}</h2>}
      {loaded.error !== null && <ErrorBox error={loaded.error} retry={loaded.reload} />}
      {models === null && loaded.error === null && <Loading text="Loading models…" />}
      {models?.length === 0 && (
        <Empty>
          <p>
            {source.register
              ? "No registered models yet: select a run with a model in the table of runs and choose “Register model”."
              : "No registered models."}
          </p>
        </Empty>
      )}
      {models && models.length > 0 && (
        <div class="nbt-box">
          <table class="nbt-table nbt-models">
            <thead>
              <tr class="nbt-heads">
                <th scope="col">Model</th>
                <th scope="col">Version</th>
                <th scope="col">Aliases</th>
                <th scope="col">Run</th>
                <th scope="col">Created</th>
                <th scope="col">Load it</th>
              </tr>
            </thead>
            {models.map((model) => (
              <ModelRows key={model.name} model={model} now={now} />
            ))}
          </table>
        </div>
      )}
    </section>
  );
}

function ModelRows({ model, now }: { model: RegisteredModel; now: number }) {
  const versions = [...model.versions].sort((a, b) => b.version - a.version);
  return (
    <tbody>
      {versions.length === 0 && (
        <tr>
          <th scope="row" title={model.name}>
            <bdi>{oneLine(model.name)}</bdi>
          </th>
          <td colSpan={5} class="nbt-faint">
            no versions
          </td>
        </tr>
      )}
      {versions.map((version, i) => (
        <tr key={version.version}>
          {i === 0 && (
            <th scope="rowgroup" rowSpan={versions.length} title={model.name}>
              <bdi>{oneLine(model.name)}</bdi>
              {versions.length > 1 && (
                <span class="nbt-faint">{plural(versions.length, "version")}</span>
              )}
            </th>
          )}
          <VersionCells name={model.name} version={version} now={now} />
        </tr>
      ))}
    </tbody>
  );
}

function VersionCells({
  name,
  version,
  now,
}: {
  name: string;
  version: ModelVersion;
  now: number;
}) {
  const { creation_timestamp: created, run_id, run_name, aliases } = version;
  const run = run_name ?? run_id?.slice(0, 8);
  return (
    <>
      <td>{version.version}</td>
      <td>
        {aliases.length === 0 && <span class="nbt-missing">{MISSING}</span>}
        {aliases.map((alias) => (
          <span class="nbt-badge" key={alias}>
            <bdi>@{oneLine(alias, 40)}</bdi>
          </span>
        ))}
      </td>
      <td title={run_name ?? run_id ?? version.source}>
        {run ? <bdi>{oneLine(run)}</bdi> : <span class="nbt-missing">{MISSING}</span>}
      </td>
      <td>
        <time dateTime={new Date(created).toISOString()} title={formatTime(created)}>
          {formatAgo(created, now)}
        </time>
      </td>
      <td>
        <CopyLine text={`nbtrack.load_model(${quote(`models:/${name}/${version.version}`)})`} />
      </td>
    </>
  );
}

/** A Python string literal; JSON's escapes are Python's too. */
function quote(text: string): string {
  return JSON.stringify(text);
}

export const mountModels = mounting(Models);
