/** The run table: sticky header and first columns, virtual rows, everything reachable by keyboard. */

import { useMemo, useRef } from "preact/hooks";
import type { RunRow } from "../data/source";
import { CellContent } from "./cells";
import { type Column, nextSort, type Sort } from "./columns";
import { oneLine, plural } from "./format";
import { useVirtualRows } from "./hooks";
import { Icon } from "./icons";
import { memo } from "./memo";

export const ROW_HEIGHT = 30;
/** Few rows are all rendered, so that the browser's own search and printing see them. */
const VIRTUAL_FROM = 80;
const CHECKBOX_WIDTH = 36;

interface Props {
  runs: RunRow[];
  columns: Column[];
  sort: Sort | null;
  selected: ReadonlySet<string>;
  open: string | null;
  now: number;
  print: boolean;
  onSort(sort: Sort | null): void;
  onSelect(selected: Set<string>): void;
  onOpen(runId: string): void;
}

export function RunTable(props: Props) {
  const { runs, columns, selected, onSelect } = props;
  const box = useRef<HTMLDivElement>(null);
  const anchor = useRef<string | null>(null);
  const virtual = runs.length >= VIRTUAL_FROM && !props.print;
  const rows = useVirtualRows(box, runs.length, ROW_HEIGHT, virtual);
  const width = columns.reduce((sum, column) => sum + column.width, CHECKBOX_WIDTH);

  const classes = useMemo(() => columns.map((column) => classOf(column, columns)), [columns]);

  /** A click ticks one row; with shift, all rows from the last one ticked take its new state. */
  function tick(index: number, on: boolean, range: boolean): void {
    const next = new Set(selected);
    const from = range ? runs.findIndex((run) => run.run_id === anchor.current) : -1;
    const first = from < 0 ? index : Math.min(from, index);
    const last = from < 0 ? index : Math.max(from, index);
    for (const run of runs.slice(first, last + 1)) {
      if (on) next.add(run.run_id);
      else next.delete(run.run_id);
    }
    anchor.current = runs[index]?.run_id ?? null;
    onSelect(next);
  }
  // Rows keep one function for good, so that scrolling renders only those that come into sight.
  const latest = useRef(tick);
  latest.current = tick;
  const onTick = useRef<typeof tick>((...click) => latest.current(...click)).current;

  return (
    <section
      class="nbt-box"
      ref={box}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling box must be reachable by keyboard
      tabIndex={0}
      aria-label={`Table of ${plural(runs.length, "run")}`}
    >
      <table
        class="nbt-table"
        style={{ "--nbt-width": `${width}px` }}
        aria-rowcount={runs.length + 1}
      >
        <colgroup>
          <col style={{ "--nbt-width": `${CHECKBOX_WIDTH}px` }} />
          {columns.map((column) => (
            <col key={column.id} style={{ "--nbt-width": `${column.width}px` }} />
          ))}
          {/* Takes what a wide page leaves over. */}
          <col style={{ "--nbt-width": "auto" }} />
        </colgroup>
        <Head
          runs={runs}
          columns={columns}
          classes={classes}
          sort={props.sort}
          selected={selected}
          onSort={props.onSort}
          onSelect={onSelect}
        />
        <tbody>
          <Spacer height={rows.before} />
          {rows.items.map(({ index }) => {
            const run = runs[index];
            return (
              run && (
                <Row
                  key={run.run_id}
                  run={run}
                  index={index}
                  columns={columns}
                  classes={classes}
                  on={selected.has(run.run_id)}
                  open={props.open === run.run_id}
                  now={props.now}
                  onOpen={props.onOpen}
                  onTick={onTick}
                />
              )
            );
          })}
          <Spacer height={rows.after} />
        </tbody>
      </table>
    </section>
  );
}

function Spacer({ height }: { height: number }) {
  return height > 0 ? <tr class="nbt-spacer" style={{ height: `${height}px` }} /> : null;
}

type HeadProps = Pick<Props, "runs" | "columns" | "sort" | "selected" | "onSort" | "onSelect"> & {
  classes: string[];
};

const Head = memo(({ runs, columns, classes, sort, selected, onSort, onSelect }: HeadProps) => {
  const ticked = runs.filter((run) => selected.has(run.run_id)).length;
  const all = ticked > 0 && ticked === runs.length;
  const toggleAll = () => {
    const next = new Set(selected);
    for (const run of runs) {
      if (all) next.delete(run.run_id);
      else next.add(run.run_id);
    }
    onSelect(next);
  };
  const groups = groupsOf(columns);
  return (
    <thead>
      {groups.length > 1 && (
        <tr class="nbt-groups">
          {groups.map(({ name, span }, i) =>
            name === "" ? (
              <td key={name} colSpan={span + 1} />
            ) : (
              <th key={name} colSpan={span} scope="colgroup" class={i > 0 ? "nbt-edge" : undefined}>
                <span>{name}</span>
              </th>
            ),
          )}
          <td />
        </tr>
      )}
      <tr class="nbt-heads nbt-sorts">
        <th class="nbt-tick" scope="col">
          <input
            type="checkbox"
            aria-label="Select all listed runs"
            checked={all}
            ref={(input) => {
              if (input) input.indeterminate = ticked > 0 && !all;
            }}
            disabled={runs.length === 0}
            onChange={toggleAll}
          />
        </th>
        {columns.map((column, i) => {
          const sorted = sort?.id === column.id ? (sort.desc ? "descending" : "ascending") : "none";
          return (
            <th key={column.id} scope="col" aria-sort={sorted} class={classes[i]}>
              <button
                type="button"
                data-testid={`nbt-sort-${column.id}`}
                title={`Sort by ${column.label}`}
                onClick={() => onSort(nextSort(column, sort))}
              >
                <bdi>{oneLine(column.label, 120)}</bdi>
                {sorted !== "none" && <Icon name={sorted === "descending" ? "down" : "up"} />}
              </button>
            </th>
          );
        })}
        <td />
      </tr>
    </thead>
  );
});

interface RowProps {
  run: RunRow;
  index: number;
  columns: Column[];
  classes: string[];
  on: boolean;
  open: boolean;
  now: number;
  onOpen(runId: string): void;
  onTick(index: number, on: boolean, range: boolean): void;
}

const Row = memo(({ run, index, columns, classes, on, open, now, onOpen, onTick }: RowProps) => (
  <tr
    data-testid="nbt-row"
    data-run-id={run.run_id}
    aria-rowindex={index + 2}
    aria-selected={on}
    class={[on && "nbt-on", open && "nbt-open"].filter(Boolean).join(" ")}
  >
    <td class="nbt-tick">
      <input
        type="checkbox"
        data-testid="nbt-row-checkbox"
        aria-label={`Select ${oneLine(run.run_name, 80)}`}
        checked={on}
        // onClick and not onChange: only a click knows whether shift is held.
        onClick={(event) => onTick(index, event.currentTarget.checked, event.shiftKey)}
      />
    </td>
    {columns.map((column, i) => (
      <td key={column.id} class={classes[i]}>
        <CellContent run={run} column={column} now={now} open={open} onOpen={onOpen} />
      </td>
    ))}
    <td />
  </tr>
));

/** Neighbouring columns of one group share a header. */
function groupsOf(columns: Column[]): { name: Column["group"]; span: number }[] {
  const groups: { name: Column["group"]; span: number }[] = [];
  for (const column of columns) {
    const last = groups.at(-1);
    if (last?.name === column.group) last.span += 1;
    else groups.push({ name: column.group, span: 1 });
  }
  return groups;
}

function classOf(column: Column, columns: Column[]): string {
  const firstOfGroup = columns.find((other) => other.group === column.group) === column;
  return [
    `nbt-col-${column.cell}`,
    column.right && "nbt-right",
    firstOfGroup && column.group !== "" && "nbt-edge",
  ]
    .filter(Boolean)
    .join(" ");
}
