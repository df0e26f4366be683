"""MLflow's database: a file ``mlflow.db``.

What is there is found out by looking at the columns: MLflow has brought its tables up to date many
times, and a file may be of any of these times.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtrack.errors import InvalidParameterError
from nbtrack.transfer.imports.base import (
    ForeignExperiment,
    ForeignModel,
    ForeignRun,
    ForeignSeries,
    ModelUse,
    Options,
)
from nbtrack.transfer.imports.mlflow.models import Logged, Models, run_of_model, with_message
from nbtrack.transfer.imports.mlflow.places import Places
from nbtrack.transfer.imports.mlflow.registry import BROKEN, DatabaseModels
from nbtrack.transfer.imports.mlflow.tables import Tables
from nbtrack.transfer.imports.mlflow.words import (
    LOCATION_TAG,
    dataset_input,
    legacy_tags,
    model_status,
    of_workspace,
    parent_of,
    run_status,
    stage,
    text,
    whole,
)
from nbtrack.transfer.imports.sqlite import Database
from nbtrack.types import DatasetInput, Metric

if TYPE_CHECKING:
    pass

_POINTS = 65_536  # read at once

LEFT_OUT = {
    "trace_info": "traces",
    "assessments": "assessments of traces",
    "evaluation_datasets": "evaluation datasets",
    "scorers": "scorers",
    "webhooks": "webhooks",
    "endpoints": "endpoints of the gateway",
    "secrets": "secrets of the gateway",
    "guardrails": "guardrails",
    "budget_policies": "budget policies",
    "issues": "issues",
    "label_schemas": "label schemas",
    "review_queues": "review queues",
    "mcp_servers": "MCP servers",
    "jobs": "jobs",
}
"""Tables that nbtrack has no place for, and what is in them."""


def _portions(count: int) -> list[int]:
    """Return how many points of a metric are read at once, as often as there are some."""
    return [min(_POINTS, count - start) for start in range(0, count, _POINTS)]


class MlflowDatabase:
    """An `nbtrack.transfer.imports.base.Archive`: a file ``mlflow.db``.

    Parameters
    ----------
    path
        The file.
    options
        Where served files are; the only experiment that is wanted.

    Raises
    ------
    NbtrackError
        The file cannot be read; it has no such experiment.
    """

    def __init__(self, path: Path, options: Options) -> None:
        self.label = f"the MLflow database {path}"
        self.problems: list[str] = []
        self._db = Database(path)
        self._places = Places(path.parent, options.artifacts_destination, self.problems.append)
        self._models = Models(self.problems.append)
        self._only = options.experiment_name
        try:
            self._tables = Tables(self._db)
            self._names = {
                row["experiment_id"]: of_workspace(text(row["name"]), row["workspace"])
                for row in self._tables.rows("experiments", ("experiment_id", "name", "workspace"))
            }
            if self._only is not None and self._only not in self._names.values():
                raise InvalidParameterError(
                    f"There is no experiment {self._only!r} in {path}.",
                    hint=f"It has: {', '.join(map(repr, list(self._names.values())[:10]))}.",
                )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def _wanted(self, experiment_id: Any) -> bool:
        return self._only is None or self._names.get(experiment_id) == self._only

    # ------------------------------------------------------------------ experiments and runs

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield the experiments."""
        columns = (
            "experiment_id",
            "artifact_location",
            "lifecycle_stage",
            "creation_time",
            "last_update_time",
        )
        for row in self._tables.rows("experiments", columns, "ORDER BY t.experiment_id"):
            number = row["experiment_id"]
            if not self._wanted(number):
                continue
            tags = self._tables.pairs("experiment_tags", "experiment_id", number)
            with_location = {LOCATION_TAG: text(row["artifact_location"])}
            yield ForeignExperiment(
                self._names[number],
                text(number),
                stage(row["lifecycle_stage"]),
                whole(row["creation_time"]) or 0,
                whole(row["last_update_time"]) or whole(row["creation_time"]) or 0,
                tags={**(with_location if row["artifact_location"] else {}), **tags},
            )

    def run_count(self) -> int:
        """Return how many runs there are, and models without one."""
        runs = self._tables.rows("runs", ("experiment_id",))
        models = self._tables.rows("logged_models", ("experiment_id",), self._ORPHANS)
        return sum(self._wanted(row["experiment_id"]) for row in itertools.chain(runs, models))

    _RUN = (
        "run_uuid",
        "name",
        "source_type",
        "source_name",
        "entry_point_name",
        "source_version",
        "user_id",
        "status",
        "start_time",
        "end_time",
        "deleted_time",
        "lifecycle_stage",
        "artifact_uri",
        "experiment_id",
    )
    _MODEL = (
        "model_id",
        "experiment_id",
        "name",
        "artifact_location",
        "creation_timestamp_ms",
        "last_updated_timestamp_ms",
        "status",
        "lifecycle_stage",
        "model_type",
        "source_run_id",
        "status_message",
    )
    _ORPHANS = (
        "WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.run_uuid = t.source_run_id)"
        " AND coalesce(t.lifecycle_stage, 'active') = 'active'"
    )

    def runs(self) -> Iterator[ForeignRun]:
        """Yield the runs, and one for each logged model that has none."""
        for row in self._tables.rows("runs", self._RUN, "ORDER BY t.rowid"):
            if self._wanted(row["experiment_id"]):
                try:
                    run = self._run(row)
                except BROKEN as error:
                    self.problems.append(f"The run {row['run_uuid']} was left out: {error}")
                else:
                    yield run
        for row in self._tables.rows(
            "logged_models", self._MODEL, f"{self._ORPHANS} ORDER BY t.rowid"
        ):
            if self._wanted(row["experiment_id"]):
                try:
                    run = self._made_run(self._logged(row))
                except BROKEN as error:
                    self.problems.append(f"The model {row['model_id']} was left out: {error}")
                else:
                    yield run
        self._places.tell_absent()
        self._tell_left_out()

    def _run(self, row: Mapping[str, Any]) -> ForeignRun:
        run_id = text(row["run_uuid"])
        tags = legacy_tags(row, self._tables.pairs("tags", "run_uuid", run_id))
        root = self._places.root(text(row["artifact_uri"]), run_id)
        logged = [
            self._logged(model)
            for model in self._tables.owned("logged_models", "source_run_id", run_id, self._MODEL)
            if stage(model["lifecycle_stage"]) == "active"
        ]
        placed = self._models.place(
            run_id,
            root,
            tags,
            [(m, self._places.root(m.artifact_location, m.model_id)) for m in logged],
        )
        return ForeignRun(
            run_id=run_id,
            run_name=text(row["name"]) or tags.get("mlflow.runName", ""),
            experiment=self._names[row["experiment_id"]],
            status=run_status(row["status"]),
            start_time=whole(row["start_time"]) or 0,
            end_time=whole(row["end_time"]),
            user_id=text(row["user_id"]),
            lifecycle_stage=stage(row["lifecycle_stage"]),
            deleted_time=whole(row["deleted_time"]),
            parent_run_id=parent_of(tags),
            params=self._tables.pairs("params", "run_uuid", run_id),
            tags=tags,
            inputs=list(self._inputs(run_id)),
            models=placed.models,
            model_times={m.model_id: m.updated_ms for m in logged if m.updated_ms is not None},
            model_uses=list(self._uses(run_id)),
            linked=list(self._linked(run_id)),
            series=lambda: self._series(run_id),
            files=placed.files,
        )

    def _series(self, run_id: str) -> Iterator[ForeignSeries]:
        import numpy as np

        if "metrics" not in self._tables.columns:
            return
        of_run = self._tables.of("metrics", "run_uuid")
        counts = list(
            self._db.rows(f"SELECT t.key, count(*) FROM {of_run} GROUP BY 1 ORDER BY 1", (run_id,))
        )
        there = self._tables.columns["metrics"]
        value = "CASE WHEN t.is_nan THEN NULL ELSE t.value END" if "is_nan" in there else "t.value"
        step = "coalesce(t.step, 0)" if "step" in there else "0"
        # Without their keys, which would be a text for each point.
        parts = self._db.parts(
            f"SELECT {step}, coalesce(t.timestamp, 0), {value} FROM {of_run}"
            " ORDER BY t.key, t.rowid",
            (run_id,),
            [size for _, count in counts for size in _portions(count)],
        )
        for key, count in counts:
            for rows in itertools.islice(parts, len(_portions(count))):
                steps, times, values = zip(*rows, strict=True)
                yield ForeignSeries(
                    text(key),
                    np.array(steps, np.int64),
                    np.array(times, np.int64),
                    np.array(values, np.float64),  # NULL is NaN
                )

    def _linked(self, run_id: str) -> Iterator[Metric]:
        columns = (
            "metric_name",
            "metric_value",
            "metric_timestamp_ms",
            "metric_step",
            "model_id",
            "dataset_name",
            "dataset_digest",
        )
        for row in self._tables.owned("logged_model_metrics", "run_id", run_id, columns):
            key, value, timestamp, step, *rest = row.values()
            number = math.nan if value is None else float(value)
            yield Metric(text(key), number, int(timestamp), int(step), *rest)

    def _inputs(self, run_id: str) -> Iterator[DatasetInput]:
        columns = ("input_uuid", "source_type", "source_id", "destination_type")
        names = {
            "name": "name",
            "digest": "digest",
            "source_type": "dataset_source_type",
            "source": "dataset_source",
            "schema": "dataset_schema",
            "profile": "dataset_profile",
        }
        for row in self._tables.owned("inputs", "destination_id", run_id, columns):
            if (row["source_type"], row["destination_type"]) != ("DATASET", "RUN"):
                continue
            for found in self._tables.owned(
                "datasets", "dataset_uuid", row["source_id"], tuple(names.values())
            ):
                tags = self._tables.pairs(
                    "input_tags", "input_uuid", row["input_uuid"], ("name", "value")
                )
                yield dataset_input({to: found[of] for to, of in names.items()}, tags)

    def _uses(self, run_id: str) -> Iterator[ModelUse]:
        roles = {"RUN_INPUT": "input", "RUN_OUTPUT": "output"}
        columns = ("source_type", "destination_id", "step")
        for row in self._tables.owned("inputs", "source_id", run_id, columns):
            if row["source_type"] in roles:
                yield ModelUse(
                    text(row["destination_id"]), roles[row["source_type"]], row["step"] or 0
                )

    def _logged(self, row: Mapping[str, Any]) -> Logged:
        model_id = text(row["model_id"])
        tags = self._tables.pairs(
            "logged_model_tags", "model_id", model_id, ("tag_key", "tag_value")
        )
        return Logged(
            model_id=model_id,
            name=text(row["name"]),
            artifact_location=text(row["artifact_location"]),
            created_ms=whole(row["creation_timestamp_ms"]) or 0,
            updated_ms=whole(row["last_updated_timestamp_ms"]),
            model_type=text(row["model_type"]),
            status=model_status(row["status"]),
            source_run_id=text(row["source_run_id"]) or None,
            experiment=self._names.get(row["experiment_id"], ""),
            params=self._tables.pairs(
                "logged_model_params", "model_id", model_id, ("param_key", "param_value")
            ),
            tags=with_message(tags, row["status_message"]),
        )

    def _made_run(self, model: Logged) -> ForeignRun:
        root = self._places.root(model.artifact_location, model.model_id)
        return run_of_model(model, self._models, root)

    def _tell_left_out(self) -> None:
        for table, what in LEFT_OUT.items():
            if table in self._tables.columns:
                count = next(self._db.rows(f"SELECT count(*) FROM {table}"))[0]
                if count:
                    self.problems.append(
                        f"{count} {what} were left out: nbtrack has no place for them."
                    )
        deleted = self._tables.rows(
            "logged_models", ("model_id",), "WHERE lifecycle_stage = 'deleted'"
        )
        if count := sum(1 for _ in deleted):
            self.problems.append(
                f"{count} logged models were left out: they are in MLflow's trash."
            )

    def registered_models(self) -> Iterator[ForeignModel]:
        """Yield the registered models."""
        return DatabaseModels(self._tables, self._models, self.problems.append).read()
