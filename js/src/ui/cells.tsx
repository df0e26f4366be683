/** One cell of the run table. */

import type { RunRow, RunStatus } from "../data/source";
import { type Column, classOf, own } from "./columns";
import { exactNumber, formatAgo, formatDuration, formatTime, MISSING, oneLine } from "./format";
import { Icon, type IconName } from "./icons";

const STATUS: Record<RunStatus, { icon: IconName; word: string }> = {
  FINISHED: { icon: "check", word: "finished" },
  FAILED: { icon: "failed", word: "failed" },
  KILLED: { icon: "killed", word: "stopped" },
  RUNNING: { icon: "running", word: "running" },
  SCHEDULED: { icon: "scheduled", word: "scheduled" },
};

export function Status({ status }: { status: RunStatus }) {
  const { icon, word } = STATUS[status];
  return (
    <span class={`nbt-status nbt-is-${word}`}>
      <Icon name={icon} />
      {word}
    </span>
  );
}

export function Badges({ run }: { run: RunRow }) {
  return (
    <>
      {run.registered.map(({ name, version }) => (
        <span
          class="nbt-badge"
          key={`${name} ${version}`}
          title={`Registered as ${name}, version ${version}`}
        >
          <bdi>{oneLine(name, 60)}</bdi>
          <span class="nbt-badge-version">v{version}</span>
        </span>
      ))}
    </>
  );
}

interface Props {
  run: RunRow;
  column: Column;
  now: number;
  open: boolean;
  onOpen(runId: string): void;
}

export function CellContent({ run, column, now, open, onOpen }: Props) {
  switch (column.cell) {
    case "name":
      return (
        <span class="nbt-name">
          <button
            type="button"
            class="nbt-link"
            title={run.run_name}
            aria-expanded={open}
            onClick={() => onOpen(run.run_id)}
          >
            <bdi>{oneLine(run.run_name) || run.run_id.slice(0, 8)}</bdi>
          </button>
          <Badges run={run} />
        </span>
      );
    case "status":
      return <Status status={run.status} />;
    case "start_time":
      return (
        <time dateTime={new Date(run.start_time).toISOString()} title={formatTime(run.start_time)}>
          {formatAgo(run.start_time, now)}
        </time>
      );
    case "duration":
      if (run.duration_ms === null) return <Missing why="not finished" />;
      return <span title={`${run.duration_ms} ms`}>{formatDuration(run.duration_ms)}</span>;
    case "model": {
      const model = run.models[0];
      if (!model) return <Missing why="no model" />;
      return <span title={model.model_class}>{oneLine(classOf(run) ?? "", 120)}</span>;
    }
    case "metric": {
      const summary = own(run.metrics, column.label);
      if (!summary) return <Missing why={`no ${column.label}`} />;
      const { last, min, max, count } = summary;
      const range =
        count > 1 ? `\nlast of ${count}; ${exactNumber(min)} to ${exactNumber(max)}` : "";
      const best = column.best.has(run.run_id);
      return (
        <span
          class={best ? "nbt-best" : undefined}
          title={`${exactNumber(last)}${range}${best ? "\nbest of the listed runs" : ""}`}
        >
          {column.format(last)}
          {best && <span class="nbt-sr"> best</span>}
        </span>
      );
    }
    case "param": {
      const value = own(run.params, column.label);
      if (value === undefined) return <Missing why={`no ${column.label}`} />;
      return <Text text={value} />;
    }
  }
}

function Text({ text }: { text: string }) {
  return <bdi title={text}>{oneLine(text, 120)}</bdi>;
}

function Missing({ why }: { why: string }) {
  return (
    <span class="nbt-missing" title={why}>
      {MISSING}
    </span>
  );
}
