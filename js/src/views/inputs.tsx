/** The data of a run: shape, columns and types, fingerprint. */

import type { RunInput } from "../data/source";
import { oneLine, plural } from "../ui/format";
import { Facts } from "./section";

interface DataColumn {
  name: string;
  type: string;
}

export function Data({ input }: { input: RunInput }) {
  const columns = columnsIn(input.schema);
  const shape = shapeIn(input.profile) ?? shapeIn(input.schema);
  return (
    <div class="nbt-data">
      <p class="nbt-meta">
        <strong>
          <bdi>{oneLine(input.name, 120)}</bdi>
        </strong>
        {input.context && <span class="nbt-badge">{oneLine(input.context, 40)}</span>}
        {shape && <span>{shape}</span>}
        <code title={`fingerprint ${input.digest}`}>{oneLine(input.digest, 80)}</code>
      </p>
      {columns.length > 0 ? (
        <details>
          <summary class="nbt-faint">{plural(columns.length, "column")}</summary>
          <dl class="nbt-facts">
            {columns.map(({ name, type }, i) => (
              // Data frames may repeat a column's name.
              <div key={i}>
                <dt title={name}>
                  <bdi>{oneLine(name, 120)}</bdi>
                </dt>
                <dd>{oneLine(type, 120)}</dd>
              </div>
            ))}
          </dl>
        </details>
      ) : (
        <details>
          <summary class="nbt-faint">{oneLine(input.source_type, 60) || "schema"}</summary>
          <Facts facts={{ ...input.schema, ...input.profile }} none="No schema was recorded." />
        </details>
      )}
    </div>
  );
}

/** Schemas as MLflow writes them ({mlflow_colspec: [...]}), as lists, or as {column: type}. */
export function columnsIn(schema: object): DataColumn[] {
  const fields = schema as Record<string, unknown>;
  const list = [schema, fields.mlflow_colspec, fields.columns].find(Array.isArray);
  if (list) return list.map(columnOf);
  const map = fields.columns ?? fields.dtypes;
  if (typeof map !== "object" || map === null) return [];
  return Object.entries(map).map(([name, type]) => ({ name, type: word(type) }));
}

function columnOf(column: unknown, index: number): DataColumn {
  if (typeof column !== "object" || column === null) return { name: word(column), type: "" };
  const { name, type, dtype } = column as Record<string, unknown>;
  return { name: name === undefined ? String(index) : word(name), type: word(dtype ?? type ?? "") };
}

function shapeIn(facts: object): string | null {
  const { shape, num_rows, num_columns } = facts as Record<string, unknown>;
  if (Array.isArray(shape)) return shape.map(word).join(" × ");
  if (typeof num_rows !== "number") return null;
  const rows = plural(num_rows, "row");
  return typeof num_columns === "number" ? `${rows} × ${plural(num_columns, "column")}` : rows;
}

function word(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
