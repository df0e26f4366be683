"""What a tracking server is asked by the store: experiments, runs, metrics; reading only."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbtrack.db import LogSink, storable
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.store import records
from nbtrack.store.downsample import downsample
from nbtrack.types import (
    ArtifactInfo,
    CellExecution,
    Experiment,
    ExperimentQuery,
    LifecycleStage,
    Metric,
    MetricSeries,
    ModelInfo,
    Run,
    RunDetail,
    RunQuery,
    RunTable,
    ViewType,
)
from nbtrack.wire.http import Http
from nbtrack.wire.messages import (
    experiment_from_json,
    logged_model_from_json,
    metric_from_json,
    run_from_json,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_RUN_ID = re.compile(r"[0-9a-zA-Z_-]{1,64}")
_PREFIX = re.compile(r"[0-9a-f]{4,31}")
_PAGE = 1_000
_POINTS_PAGE = 25_000
_MAX_KNOWN = 10_000
_COLUMNS = (
    "run_name",
    "experiment_id",
    "experiment_name",
    "status",
    "start_time",
    "end_time",
    "user_id",
    "lifecycle_stage",
    "parent_run_id",
    "error",
    "artifact_uri",
)

Extras = Callable[[str], tuple[Sequence[ArtifactInfo], CellExecution | None, Mapping[str, Any]]]
"""Returns the files of a run, and what they tell of its cell and environment."""


class RestReading:
    """The reading verbs of a `nbtrack.store.base.Store` on a tracking server.

    Parameters
    ----------
    http
        The server.
    sink
        Where records go: flushed before the server is asked.
    extras
        Asked for what a run's artifacts tell of it.
    """

    def __init__(self, http: Http, sink: LogSink, extras: Extras) -> None:
        self._http = http
        self._sink = sink
        self._extras = extras
        self._names: dict[str, str] = {}  # of experiments, by id
        self._known: dict[str, None] = {}  # ids of runs that are there
        self._uris: dict[str, str] = {}  # where the artifacts of runs and models are

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment, in the trash or not."""
        records.experiment_key(experiment_id)
        found = self._http.call(
            "GET",
            "experiments/get",
            query={"experiment_id": str(experiment_id)},
            wants="experiment",
        )
        return self._experiment_of(found["experiment"])

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return the experiment of that name, in the trash or not."""
        try:
            found = self._http.call(
                "GET",
                "experiments/get-by-name",
                query={"experiment_name": storable(name)},
                wants="experiment",
            )
        except NotFoundError:
            return None
        return self._experiment_of(found["experiment"])

    def _experiment_of(self, item: Mapping[str, Any]) -> Experiment:
        experiment = experiment_from_json(item)
        if experiment.lifecycle_stage == LifecycleStage.ACTIVE:
            self._names[experiment.experiment_id] = experiment.name
        return experiment

    def search_experiments(self, query: ExperimentQuery | None = None) -> list[Experiment]:
        """Return experiments; without a query all that are not in the trash, newest first."""
        query = query or ExperimentQuery(max_results=-1)
        body = {
            "view_type": str(query.view_type),
            "filter": query.filter,
            "order_by": list(query.order_by),
        }
        found = self._pages("experiments/search", body, "experiments")
        return [self._experiment_of(item) for item in _part(found, query.offset, query.max_results)]

    def resolve_run_id(self, text: str) -> str:
        """Return the id that a full id, a unique prefix of one, or a run's name means.

        A logged model is named as a run is, by its id ``m-...``: it has files of its own.
        """
        if text in self._known or MODEL_ID.fullmatch(text):
            return text
        if _RUN_ID.fullmatch(text):
            try:
                self._run_json(text)
            except NotFoundError:
                pass  # it is a name, then, or the beginning of an id
            else:
                return text
        found = {run.info.run_id: run for run in self._named(text)}
        if len(found) == 1:
            return next(iter(found))
        if not found:
            raise NotFoundError(
                f"There is no run {text!r}.",
                hint="Give an id, the beginning of one (4 characters or more) or a name; "
                "nbtrack.runs() lists the runs.",
            )
        names = ", ".join(f"{run.info.run_name} ({i[:8]})" for i, run in found.items())
        raise InvalidParameterError(
            f"{text!r} means more than one run: {names}.", hint="Give more of the id."
        )

    def _named(self, text: str) -> Iterator[Run]:
        quote = next((quote for quote in "'\"" if quote not in text), None)
        name = storable(text)
        if quote is not None and text.isprintable() and text.strip():
            query = RunQuery(filter=f"attributes.run_name = {quote}{name}{quote}", max_results=6)
            yield from self.search_runs(query)
        elif text:  # the grammar has no word for it
            runs = self.search_runs(RunQuery(max_results=-1))
            yield from (run for run in runs if run.info.run_name == name)
        if _PREFIX.fullmatch(text):
            query = RunQuery(filter=f"attributes.run_id LIKE '{text}%'", max_results=6)
            yield from self.search_runs(query)

    def get_run(self, run_id: str) -> Run:
        """Return a run."""
        item = self._run_json(run_id)
        models = [
            self.get_model(str(output["model_id"]))
            for output in item.get("outputs", {}).get("model_outputs", ())
        ]
        return self._run_of(item, [model for model in models if model is not None])

    def models_of(self, run_id: str) -> Sequence[ModelInfo]:
        """Return the logged models of a run, newest first; none of what is no run."""
        if MODEL_ID.fullmatch(run_id):
            return ()
        return sorted(self.get_run(run_id).models, key=lambda model: -model.created_ms)

    def get_model(self, model_id: str) -> ModelInfo | None:
        """Return a logged model; None if there is none."""
        try:
            found = self._http.call("GET", f"logged-models/{model_id}", wants="model")["model"]
        except NotFoundError:
            return None
        self._uris[model_id] = str(found["info"].get("artifact_uri", ""))
        return logged_model_from_json(found)

    def get_run_detail(self, run_id: str) -> RunDetail:
        """Return a run with its inputs, artifacts, and what these tell of its cell."""
        run = self.get_run(run_id)
        artifacts, cell, environment = self._extras(run_id)
        return RunDetail(run, run.inputs.dataset_inputs, tuple(artifacts), cell, environment)

    def search_runs(self, query: RunQuery) -> list[Run]:
        """Return runs, each as an object; their models have ids only."""
        return [self._run_of(item, _models_of(item)) for item in self._search(query)]

    def run_table(self, query: RunQuery) -> RunTable:
        """Return runs by columns."""
        import numpy as np

        runs = self.search_runs(query)
        info = {name: [getattr(run.info, name) for run in runs] for name in _COLUMNS}
        info |= {name: [getattr(r, name) for r in runs] for name in ("execution_count", "notebook")}
        columns: dict[str, dict[str, list[str | None]]] = {"params": {}, "tags": {}}
        metrics: dict[str, NDArray[np.float64]] = {}
        for i, run in enumerate(runs):
            for kind, texts in columns.items():
                for key, value in getattr(run.data, kind).items():
                    texts.setdefault(key, [None] * len(runs))[i] = value
            for key, last in run.data.metrics.items():
                metrics.setdefault(key, np.full(len(runs), np.nan))[i] = last
        return RunTable(
            run_ids=[run.info.run_id for run in runs],
            info=info,
            params=dict(sorted(columns["params"].items())),
            tags=dict(sorted(columns["tags"].items())),
            metrics=dict(sorted(metrics.items())),
        )

    def _search(self, query: RunQuery) -> list[dict[str, Any]]:
        """Return runs as they were sent. The filter goes to the server as it is."""
        self._sink.flush()
        ids = query.experiment_ids
        if ids is None:
            every = ExperimentQuery(view_type=ViewType.ALL, max_results=-1)
            ids = [experiment.experiment_id for experiment in self.search_experiments(every)]
        text = query.filter
        if query.run_ids is not None:
            wanted = [run_id for run_id in query.run_ids if _RUN_ID.fullmatch(run_id)]
            if not wanted:
                return []
            chosen = f"attributes.run_id IN ({', '.join(repr(run_id) for run_id in wanted)})"
            text = f"{text} AND {chosen}" if text.strip() else chosen
        if not ids:
            return []
        body = {
            "experiment_ids": list(ids),
            "filter": text,
            "run_view_type": str(query.view_type),
            "order_by": list(query.order_by),
        }
        return _part(self._pages("runs/search", body, "runs"), query.offset, query.max_results)

    def param_history(self, run_id: str, key: str) -> list[str]:
        """Return the value of a param: it has only one, ever."""
        try:
            params = self.get_run(run_id).data.params
        except NotFoundError:
            return []
        return [params[key]] if key in params else []

    def metric_series(
        self,
        run_ids: Sequence[str],
        keys: Sequence[str],
        *,
        max_points: int | None = None,
    ) -> list[MetricSeries]:
        """Return the points of some metrics of some runs, run by run."""
        self._sink.flush()
        found = []
        for run_id, key in itertools.product(run_ids, keys):
            points = self._history(run_id, key)
            if points:
                series = _series(run_id, key, points)
                found.append(series if max_points is None else downsample(series, max_points))
        return found

    def _history(self, run_id: str, key: str) -> list[Metric]:
        query = {
            "run_id": run_id,
            "run_uuid": run_id,
            "metric_key": storable(key),
            "max_results": _POINTS_PAGE,
        }
        points: list[Metric] = []
        while True:
            try:
                found = self._http.call("GET", "metrics/get-history", query=query)
            except NotFoundError:
                return points
            points += [metric_from_json(item, run_id) for item in found.get("metrics", ())]
            if not found.get("next_page_token"):
                return points
            query["page_token"] = found["next_page_token"]

    def linked_metrics(self, run_id: str) -> list[Metric]:
        """Return the points of a run that belong to models that it made."""
        found = []
        for output in self._run_json(run_id).get("outputs", {}).get("model_outputs", ()):
            route = f"logged-models/{output['model_id']}"
            model = self._http.call("GET", route, wants="model")["model"]
            found += [
                metric_from_json(item, run_id)
                for item in model.get("data", {}).get("metrics", ())
                if item.get("run_id") == run_id
            ]
        return found

    def artifact_uri(self, run_id: str) -> str:
        """Return where the artifacts of a run, or of a logged model, are.

        Raises
        ------
        NotFoundError
            There is none of that id.
        """
        if not self._uris.get(run_id):
            if MODEL_ID.fullmatch(run_id):
                if self.get_model(run_id) is None:
                    raise NotFoundError(f"There is no logged model {run_id!r}.")
            else:
                self.get_run(run_id)
        return self._uris[run_id]

    # -- the wire

    def _post(self, route: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._http.call("POST", route, body)

    def _pages(self, route: str, body: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
        """Yield the items of all pages of a search."""
        token = None
        while True:
            asked = {**body, "max_results": _PAGE, **({"page_token": token} if token else {})}
            found = self._post(route, asked)
            yield from found.get(name, ())
            token = found.get("next_page_token")
            if not token:
                return

    def _run_json(self, run_id: str) -> dict[str, Any]:
        self._sink.flush()
        try:
            found: dict[str, Any] = self._http.call(
                "GET", "runs/get", query={"run_id": run_id, "run_uuid": run_id}, wants="run"
            )["run"]
        except NotFoundError:
            self._known.pop(run_id, None)
            raise NotFoundError(
                f"Run with id={run_id} not found.", hint="nbtrack.runs() lists the runs."
            ) from None
        return found

    def _run_of(self, item: Mapping[str, Any], models: Sequence[ModelInfo]) -> Run:
        experiment_id = str(item["info"].get("experiment_id", ""))
        if experiment_id not in self._names:
            name = self.get_experiment(experiment_id).name
        else:
            name = self._names[experiment_id]
        run = run_from_json(item, name, models)
        self._know(run.info.run_id, run.info.artifact_uri)
        return run

    def _know(self, run_id: str, artifact_uri: str) -> None:
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
            self._uris.clear()
        self._known[run_id] = None
        self._uris[run_id] = artifact_uri


def _part(items: Iterator[Any], offset: int, count: int) -> list[Any]:
    end = None if count < 0 else offset + count
    return list(itertools.islice(items, offset, end))


def _models_of(item: Mapping[str, Any]) -> list[ModelInfo]:
    run_id = str(item["info"].get("run_id", ""))
    return [
        ModelInfo(str(output["model_id"]), run_id, "", "", "", 0, 0)
        for output in item.get("outputs", {}).get("model_outputs", ())
    ]


def _series(run_id: str, key: str, points: Sequence[Metric]) -> MetricSeries:
    import numpy as np

    steps = np.array([point.step for point in points], np.int64)
    timestamps = np.array([point.timestamp for point in points], np.int64)
    values = np.array([point.value for point in points], np.float64)
    order = np.lexsort((timestamps, steps))
    return MetricSeries(run_id, key, steps[order], timestamps[order], values[order])
