"""The Python half of the front end: named operations, JSON in, JSON out.

One table of operations serves the widget (kernel messages), the report (data in the page) and,
later, the web page (HTTP). Numbers that JSON cannot hold are the strings ``"NaN"``,
``"Infinity"`` and ``"-Infinity"``, as in MLflow's REST protocol.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.tracking import Client
from nbtrack.types import CANDIDATE_TAG, MetricSummary, RegisteredModel, Run, RunDetail

JSON = dict[str, Any]

MAX_RUNS = 10_000
MAX_POINTS = 2_000  # of a curve: more than a screen has pixels
MAX_CURVES = 50


class DataSource:
    """What views can ask about one database.

    Parameters
    ----------
    client
        The database.

    Examples
    --------
    >>> import tempfile
    >>> source = DataSource(Client(tempfile.mkdtemp() + "/nbtrack.db"))
    >>> source.call("runs.search", {})
    {'runs': []}
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._operations: dict[str, Callable[..., Any]] = {
            "runs.search": self.search_runs,
            "runs.details": self.run_details,
            "runs.plots": self.run_plots,
            "metrics.history": self.metric_history,
            "models.search": self.search_models,
            "models.register": self.register_model,
        }

    def call(self, operation: str, params: Mapping[str, Any]) -> Any:
        """Return the JSON-able result of an operation.

        Raises
        ------
        InvalidParameterError
            There is no such operation, or it does not take these params.
        NbtrackError
            What the operation raises.
        """
        function = self._operations.get(operation)
        if function is None:
            raise InvalidParameterError(
                f"There is no operation {operation!r}.",
                hint=f"There is: {_list(self._operations)}.",
            )
        try:
            return function(**params)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                raise InvalidParameterError(f"{operation!r} was called wrongly: {error}.") from None
            raise

    def search_runs(self, run_ids: Sequence[str] | None = None) -> JSON:
        """Return the table of runs, newest first; without candidates, unless runs are named."""
        runs = table_runs(self._client, run_ids)
        registered = self._registered()
        return {"runs": [run_json(run, registered[run.info.run_id]) for run in runs]}

    def run_details(self, run_id: str) -> JSON:
        """Return all that is known of one run."""
        detail = self._client.get_run_detail(run_id)
        return detail_json(detail, self._registered()[detail.run.info.run_id])

    def run_plots(self, run_id: str) -> list[JSON]:
        """Return the tables of a run that are to be drawn: name, kind, columns, meta."""
        plots = self._client.get_plots(run_id)
        return [{"name": name, **plot} for name, plot in plots.items()]

    def metric_history(self, run_ids: Sequence[str], key: str) -> list[JSON]:
        """Return the curve of one metric of several runs, down-sampled."""
        if len(run_ids) > MAX_CURVES:
            raise InvalidParameterError(
                f"{len(run_ids)} curves were asked for at once; {MAX_CURVES} can be drawn.",
                hint="Select fewer runs.",
            )
        return [
            {
                "run_id": series.run_id,
                "key": series.key,
                "steps": series.steps.tolist(),
                "timestamps": series.timestamps.tolist(),
                "values": [number(value) for value in series.values.tolist()],
            }
            for series in self._client.metric_series(run_ids, key, max_points=MAX_POINTS)
        ]

    def search_models(self) -> list[JSON]:
        """Return the registered models with their versions."""
        return [model_json(model) for model in self._client.search_registered_models()]

    def register_model(self, run_id: str, name: str) -> JSON:
        """Register the model of a run."""
        version = self._client.register_model(run_id, name)
        return {"name": version.name, "version": version.version}

    def _registered(self) -> defaultdict[str, list[JSON]]:
        """Return which versions of which models each run is."""
        found: defaultdict[str, list[JSON]] = defaultdict(list)
        for model in self._client.search_registered_models():
            for version in model.versions:
                if version.run_id is not None:
                    found[version.run_id].append({"name": model.name, "version": version.version})
        return found


def table_runs(client: Client, run_ids: Sequence[str] | None) -> list[Run]:
    """Return the runs that a table shows: those named, or all but the candidates of searches."""
    runs = client.search_runs(runs=run_ids, max_results=MAX_RUNS)
    if run_ids is not None:
        return runs
    # Not by a filter: servers of some versions have none for what is absent.
    return [run for run in runs if CANDIDATE_TAG not in run.data.tags]


def run_json(run: Run, registered: Sequence[JSON]) -> JSON:
    """Return a row of the table of runs."""
    info = run.info
    return {
        "run_id": info.run_id,
        "run_name": info.run_name,
        "experiment": info.experiment_name,
        "status": str(info.status),
        "start_time": info.start_time,
        "end_time": info.end_time,
        "duration_ms": info.duration_ms,
        "user_id": info.user_id,
        "notebook": run.notebook,
        "execution_count": run.execution_count,
        "error": info.error,
        "params": dict(run.data.params),
        "metrics": {key: _summary(summary) for key, summary in run.data.summaries.items()},
        "tags": dict(run.data.tags),
        "models": [
            {
                "artifact_path": model.artifact_path,
                "flavor": model.flavor,
                "model_class": model.model_class,
                "size_bytes": model.size_bytes,
            }
            for model in run.models
        ],
        "registered": list(registered),
    }


def detail_json(detail: RunDetail, registered: Sequence[JSON]) -> JSON:
    """Return a run with its data, artifacts, cell and environment."""
    return {
        "run": run_json(detail.run, registered),
        "inputs": [
            {
                "name": item.dataset.name,
                "context": item.context,
                "digest": item.dataset.digest,
                "source_type": item.dataset.source_type,
                "schema": dict(item.dataset.schema),
                "profile": dict(item.dataset.profile),
            }
            for item in detail.inputs
        ],
        "artifacts": [
            {"path": file.path, "digest": file.digest, "size_bytes": file.size_bytes}
            for file in detail.artifacts
        ],
        "cell": None
        if detail.cell is None
        else {
            "source": detail.cell.source,
            "execution_count": detail.cell.execution_count,
        },
        "environment": dict(detail.environment),
    }


def model_json(model: RegisteredModel) -> JSON:
    """Return a registered model with its versions."""
    return {
        "name": model.name,
        "creation_timestamp": model.creation_timestamp,
        "last_updated_timestamp": model.last_updated_timestamp,
        "versions": [
            {
                "version": version.version,
                "run_id": version.run_id,
                "run_name": version.run_name,
                "source": version.source,
                "creation_timestamp": version.creation_timestamp,
                "aliases": list(version.aliases),
            }
            for version in model.versions
        ],
    }


def number(value: float) -> float | str:
    """Return a number as JSON can hold it.

    Examples
    --------
    >>> number(0.5), number(float("nan")), number(float("-inf"))
    (0.5, 'NaN', '-Infinity')
    """
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _summary(summary: MetricSummary) -> JSON:
    return {
        "last": number(summary.last),
        "min": number(summary.min),
        "max": number(summary.max),
        "count": summary.count,
    }


def _list(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names))
