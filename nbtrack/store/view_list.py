"""The views that SQL sees: one list, from which they and what is written of them are made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """A view: its columns are triples of name, SQL and what it is."""

    name: str
    about: str
    source: str
    columns: tuple[tuple[str, str, str], ...]

    @property
    def sql(self) -> str:
        """What makes the view on a connection."""
        columns = ", ".join(f'{expression} AS "{name}"' for name, expression, _ in self.columns)
        return f"CREATE TEMP VIEW {self.name} AS SELECT {columns} FROM {self.source}"


def _time(column: str) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%fZ', {column} / 1000.0, 'unixepoch')"


def _plain(table: str, *columns: tuple[str, str]) -> tuple[tuple[str, str, str], ...]:
    return tuple((name, f"{table}.{name}", about) for name, about in columns)


_RUN = ("run_id", "r.run_id", "the run")
# What is in the trash is not shown, nor what hangs on it.
_ACTIVE = "WHERE r.lifecycle_stage = 'active' AND x.lifecycle_stage = 'active'"


def _of_run(table: str, key: str, more: str = "") -> str:
    return (
        f"main.{table} t JOIN main.runs r USING ({key})"
        f" JOIN main.experiments x USING (experiment_id) {more} {_ACTIVE}"
    )


_ALIASES = (
    "(SELECT group_concat(a.alias, ', ') FROM main.model_aliases a"
    " WHERE a.name = v.name AND a.version = v.version)"
)

VIEWS = (
    View(
        "runs",
        "One row per run.",
        "main.runs r JOIN main.experiments x USING (experiment_id)"
        " LEFT JOIN main.sessions s ON s.session_id = r.session_id"
        f" LEFT JOIN main.cell_executions e ON e.execution_id = r.execution_id {_ACTIVE}",
        (
            ("run_id", "r.run_id", "32 hex digits"),
            ("run_name", "r.run_name", "name of the run"),
            ("experiment", "x.name", "name of its experiment"),
            ("experiment_id", "r.experiment_id", "number of its experiment"),
            ("status", "r.status", "RUNNING, SCHEDULED, FINISHED, FAILED or KILLED"),
            ("start_time", _time("r.start_time"), "when it began"),
            ("end_time", _time("r.end_time"), "when it ended; NULL while it goes on"),
            ("duration_s", "(r.end_time - r.start_time) / 1000.0", "seconds from start to end"),
            ("user_id", "r.user_id", "login name"),
            ("notebook", "s.notebook", "path of the notebook or script, if known"),
            ("execution_count", "e.execution_count", "the number in In [n] of its cell"),
            ("execution_id", "r.execution_id", "its cell in the view cells"),
            ("parent_run_id", "r.parent_run_id", "the run that it is part of"),
            ("error", "r.error", "traceback of a failed run"),
        ),
    ),
    View(
        "params",
        "One row per param of a run.",
        _of_run("params", "run_no"),
        (_RUN, *_plain("t", ("key", "name of the param"), ("value", "its value, as text"))),
    ),
    View(
        "metrics",
        "One row per metric of a run: its history in numbers. NaN is NULL.",
        _of_run("metrics", "run_no"),
        (
            _RUN,
            *_plain(
                "t",
                ("key", "name of the metric"),
                ("last", "value of the greatest step"),
                ("first", "value of the smallest step"),
                ("min", "smallest value; NaN only if there is nothing else"),
                ("max", "greatest value; likewise"),
                ("count", "number of points"),
                ("last_step", "greatest step"),
            ),
            ("last_time", _time("t.last_timestamp"), "when the last value was logged"),
            ("first_step", "t.first_step", "smallest step"),
        ),
    ),
    View(
        "metric_history",
        "One row per point of a metric, in no order. Name a run or a key: all points are many.",
        "main.metric_chunks c JOIN main.metrics t USING (metric_id)"
        " JOIN main.runs r USING (run_no) JOIN main.experiments x USING (experiment_id)"
        f" JOIN json_each(nbtrack_points(c.data)) p {_ACTIVE}",
        (
            _RUN,
            ("key", "t.key", "name of the metric"),
            ("step", "json_extract(p.value, '$[0]')", "step, as it was logged"),
            ("timestamp", "json_extract(p.value, '$[1]')", "ms since 1970 UTC"),
            ("value", "json_extract(p.value, '$[2]')", "the value; NaN is NULL"),
        ),
    ),
    View(
        "tags",
        "One row per tag of a run.",
        _of_run("tags", "run_no"),
        (_RUN, *_plain("t", ("key", "name of the tag"), ("value", "its text"))),
    ),
    View(
        "experiments",
        "One row per experiment.",
        "main.experiments x WHERE x.lifecycle_stage = 'active'",
        (
            *_plain("x", ("experiment_id", "number"), ("name", "name, unique")),
            ("creation_time", _time("x.creation_time"), "when it was made"),
            ("last_update_time", _time("x.last_update_time"), "when it was last changed"),
        ),
    ),
    View(
        "experiment_tags",
        "One row per tag of an experiment.",
        "main.experiment_tags t JOIN main.experiments x USING (experiment_id)"
        " WHERE x.lifecycle_stage = 'active'",
        _plain("t", ("experiment_id", "the experiment"), ("key", "name"), ("value", "text")),
    ),
    View(
        "inputs",
        "One row per dataset in its part for a run.",
        _of_run("run_inputs", "run_id", "JOIN main.datasets d ON d.dataset_id = t.dataset_id"),
        (
            _RUN,
            ("dataset_id", "t.dataset_id", "the dataset in the view datasets"),
            ("name", "d.name", "name of the dataset"),
            ("digest", "d.digest", "fingerprint of the dataset; empty: none"),
            ("context", "t.context", "train, target, eval ..."),
        ),
    ),
    View(
        "datasets",
        "One row per dataset that a run saw: what is known of it, never its data.",
        "main.datasets d WHERE d.dataset_id IN"
        f" (SELECT t.dataset_id FROM {_of_run('run_inputs', 'run_id')})",
        _plain(
            "d",
            ("dataset_id", "number of the dataset in this file"),
            ("name", "the user's own name for it"),
            ("digest", "fingerprint, its algorithm in front; empty: none"),
            ("source_type", "numpy, pandas, list ..."),
            ("schema", "columns or dtype, as JSON"),
            ("profile", "shape and bytes, as JSON"),
            ("source", "where it came from, as JSON; empty: not known"),
        ),
    ),
    View(
        "artifacts",
        "One row per file of a run.",
        _of_run("artifacts", "run_id", "JOIN main.blobs b ON b.digest = t.digest"),
        (
            _RUN,
            ("path", "t.path", "path with /"),
            ("digest", "t.digest", "sha256:<hex> of its bytes"),
            ("size_bytes", "b.size_bytes", "size before compression"),
        ),
    ),
    View(
        "models",
        "One row per model that a run logged.",
        _of_run("models", "run_id"),
        (
            ("model_id", "t.model_id", "id of the model"),
            _RUN,
            *_plain(
                "t",
                ("artifact_path", "its directory among the files of the run"),
                ("flavor", "sklearn ..."),
                ("model_class", "module.Class"),
                ("size_bytes", "size of its files"),
                ("name", "its name, as MLflow's logged models have one; may be empty"),
                ("model_type", "what its maker says that it is; may be empty"),
                ("status", "LOGGED_MODEL_READY ..."),
            ),
            ("created", _time("t.created_ms"), "when it was logged"),
        ),
    ),
    View(
        "model_versions",
        "One row per version of a registered model.",
        "main.model_versions v",
        (
            *_plain(
                "v",
                ("name", "name of the registered model"),
                ("version", "1, 2, ..."),
                ("run_id", "the run that made it, if one did"),
                ("source", "where its files are"),
                ("current_stage", "None, Staging, Production, Archived"),
                ("status", "READY ..."),
                ("description", "what somebody wrote of it"),
            ),
            (
                "aliases",
                _ALIASES,
                "its aliases, with commas; NULL: none",
            ),
            ("created", _time("v.creation_timestamp"), "when it was registered"),
            ("user_id", "v.user_id", "who registered it"),
        ),
    ),
    View(
        "model_events",
        "The audit trail of the registry: one row per event.",
        "main.model_events v",
        (
            ("event_id", "v.event_id", "number, in the order of their coming"),
            ("time", _time("v.time_ms"), "when it happened"),
            *_plain(
                "v",
                ("user_id", "who did it"),
                ("name", "the registered model"),
                ("version", "the version, if it is about one"),
                ("event", "what happened, in the past tense"),
                ("details", "more, as JSON"),
            ),
        ),
    ),
    View(
        "cells",
        "One row per execution of a notebook cell while a run was kept.",
        "main.cell_executions e JOIN main.cells c ON c.digest = e.cell_digest"
        " JOIN main.sessions s ON s.session_id = e.session_id",
        (
            ("execution_id", "e.execution_id", "id; runs.execution_id names the cell of a run"),
            ("notebook", "s.notebook", "path of the notebook, if known"),
            ("execution_count", "e.execution_count", "the number in In [n]"),
            ("cell_id", "e.cell_id", "the notebook's own id of the cell"),
            ("source", "c.source", "its text, secrets masked"),
            ("start_time", _time("e.start_ms"), "when it began"),
            ("duration_s", "(e.end_ms - e.start_ms) / 1000.0", "seconds"),
            ("outcome", "e.outcome", "ok, error or interrupted; NULL: it did not end"),
        ),
    ),
)


def describe_views() -> str:
    """Return what views there are, with their columns, as Markdown.

    Examples
    --------
    >>> print(describe_views().split("##")[2].strip())
    params
    <BLANKLINE>
    One row per param of a run.
    <BLANKLINE>
    - `run_id`: the run
    - `key`: name of the param
    - `value`: its value, as text
    """
    parts = ["Times are text in UTC, 2026-01-31T12:00:00.000Z. What is in the trash is not shown."]
    for view in VIEWS:
        columns = "\n".join(f"- `{name}`: {about}" for name, _, about in view.columns)
        parts.append(f"## {view.name}\n\n{view.about}\n\n{columns}")
    return "\n\n".join(parts) + "\n"
