/** Pieces of the details: a foldable section, and a list of facts. */

import type { ComponentChildren } from "preact";
import { oneLine } from "../ui/format";

interface Props {
  title: string;
  count?: number;
  folded?: boolean;
  children: ComponentChildren;
}

export function Section({ title, count, folded = false, children }: Props) {
  return (
    <details class="nbt-section" open={!folded}>
      <summary>
        {title}
        {count !== undefined && <span class="nbt-faint"> {count}</span>}
      </summary>
      {children}
    </details>
  );
}

export function Facts({ facts, none }: { facts: object; none: string }) {
  const entries = Object.entries(facts);
  if (entries.length === 0) return <p class="nbt-note">{none}</p>;
  return (
    <dl class="nbt-facts">
      {entries.map(([key, value]) => (
        <div key={key}>
          <dt title={key}>
            <bdi>{oneLine(key, 120)}</bdi>
          </dt>
          <dd>
            <Fact value={value} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** Text and numbers as they are; anything deeper as foldable JSON, so that nothing is hidden. */
function Fact({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <span class="nbt-missing">–</span>;
  if (typeof value !== "object") {
    const text = String(value);
    return <bdi title={text.length > 300 ? text : undefined}>{oneLine(text, 300)}</bdi>;
  }
  const size = Array.isArray(value) ? value.length : Object.keys(value).length;
  const json = JSON.stringify(value, null, 1);
  if (json.length < 60) return <bdi>{oneLine(json)}</bdi>;
  return (
    <details>
      <summary class="nbt-faint">{`${size} entries`}</summary>
      <pre class="nbt-code">{json}</pre>
    </details>
  );
}
