"""The protocol's JSON and our types, in both directions. Pure.

Numbers of 64 bits are JSON numbers, and may be read as texts; what is empty is left out; NaN and
the infinities are texts. What a server sends may be anything: what does not fit is a
`ValueError`, or is taken for what it says as text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nbtrack.types import (
    Dataset,
    DatasetInput,
    Experiment,
    LifecycleStage,
    Metric,
    MetricSummary,
    ModelInfo,
    ModelVersion,
    RegisteredModel,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunStatus,
)

JSON = dict[str, Any]

PARENT_TAG = "mlflow.parentRunId"
CONTEXT_TAG = "mlflow.data.context"
ERROR_TAG = "nbtrack.error"
FLAVOR_TAG = "nbtrack.flavor"
CLASS_TAG = "nbtrack.class"
SIZE_TAG = "nbtrack.size_bytes"
ARTIFACT_PATH_TAG = "nbtrack.artifact_path"


# ----------------------------------------------------------------------------- small things


def number_to_json(value: float) -> float | str:
    """Return a number as JSON can hold it.

    Examples
    --------
    >>> number_to_json(0.5), number_to_json(float("nan")), number_to_json(float("-inf"))
    (0.5, 'NaN', '-Infinity')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def number_from_json(value: Any) -> float:
    """Return the number that was sent, also one that was sent as a text.

    Examples
    --------
    >>> number_from_json("NaN"), number_from_json(2)
    (nan, 2.0)
    """
    return float(value)


def pairs_to_json(pairs: Mapping[str, str]) -> list[JSON]:
    """Return params or tags as the protocol has them.

    Examples
    --------
    >>> pairs_to_json({"a": "1"})
    [{'key': 'a', 'value': '1'}]
    """
    return [{"key": key, "value": value} for key, value in pairs.items()]


def pairs_from_json(items: Any) -> dict[str, str]:
    """Return params or tags as a dict."""
    return {str(item["key"]): str(item.get("value", "")) for item in items or ()}


def _int(value: Any, default: int = 0) -> int:
    return default if value is None else int(value)


def _filled(**fields: Any) -> JSON:
    """Return the fields that are something: the protocol leaves out the others."""
    return {key: value for key, value in fields.items() if value not in (None, [], ())}


# ----------------------------------------------------------------------------- metrics


def metric_to_json(metric: Metric) -> JSON:
    """Return a point of a metric as the protocol has it."""
    return _filled(
        key=metric.key,
        value=number_to_json(metric.value),
        timestamp=metric.timestamp,
        step=metric.step,
        model_id=metric.model_id,
        dataset_name=metric.dataset_name,
        dataset_digest=metric.dataset_digest,
    )


def metric_from_json(item: Mapping[str, Any], run_id: str | None = None) -> Metric:
    """Return the point that was sent."""
    return Metric(
        str(item["key"]),
        number_from_json(item.get("value", 0)),
        _int(item.get("timestamp")),
        _int(item.get("step")),
        item.get("model_id"),
        item.get("dataset_name"),
        item.get("dataset_digest"),
        run_id,
    )


# ----------------------------------------------------------------------------- inputs


def input_to_json(item: DatasetInput) -> JSON:
    """Return a dataset in its part for a run as the protocol has it."""
    data = item.dataset
    tags = {**item.tags, **({CONTEXT_TAG: item.context} if item.context else {})}
    return {
        "tags": pairs_to_json(tags),
        "dataset": _filled(
            name=data.name,
            digest=data.digest,
            source_type=data.source_type,
            source=data.source,
            schema=json.dumps(dict(data.schema)),
            profile=json.dumps(dict(data.profile)),
        ),
    }


def input_from_json(item: Mapping[str, Any]) -> DatasetInput:
    """Return the dataset that was sent."""
    data, tags = item["dataset"], pairs_from_json(item.get("tags"))
    context = tags.pop(CONTEXT_TAG, "")
    return DatasetInput(
        Dataset(
            str(data.get("name", "")),
            str(data.get("digest", "")),
            str(data.get("source_type", "")),
            _object(data.get("schema")),
            _object(data.get("profile")),
            str(data.get("source", "")),
        ),
        context,
        tags,
    )


def _object(text: Any) -> dict[str, Any]:
    """Return what a text says that ought to be a JSON object; else the text, under a name."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, TypeError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"text": str(text)}


# ----------------------------------------------------------------------------- experiments


def experiment_to_json(experiment: Experiment) -> JSON:
    """Return an experiment as the protocol has it."""
    return _filled(
        experiment_id=experiment.experiment_id,
        name=experiment.name,
        artifact_location=experiment.artifact_location,
        lifecycle_stage=str(experiment.lifecycle_stage),
        creation_time=experiment.creation_time,
        last_update_time=experiment.last_update_time,
        tags=pairs_to_json(experiment.tags),
    )


def experiment_from_json(item: Mapping[str, Any]) -> Experiment:
    """Return the experiment that was sent."""
    return Experiment(
        str(item["experiment_id"]),
        str(item.get("name", "")),
        LifecycleStage(item.get("lifecycle_stage", "active")),
        _int(item.get("creation_time")),
        _int(item.get("last_update_time")),
        str(item.get("artifact_location", "")),
        pairs_from_json(item.get("tags")),
    )


# ----------------------------------------------------------------------------- runs


def run_to_json(run: Run) -> JSON:
    """Return a run as the protocol has it."""
    info, data = run.info, run.data
    lasts = [
        _filled(
            key=s.key, value=number_to_json(s.last), timestamp=s.last_timestamp, step=s.last_step
        )
        for s in data.summaries.values()
    ]
    return {
        "info": _filled(
            run_id=info.run_id,
            run_uuid=info.run_id,
            run_name=info.run_name,
            experiment_id=info.experiment_id,
            user_id=info.user_id,
            status=str(info.status),
            start_time=info.start_time,
            end_time=info.end_time,
            artifact_uri=info.artifact_uri,
            lifecycle_stage=str(info.lifecycle_stage),
        ),
        "data": _filled(
            metrics=lasts, params=pairs_to_json(data.params), tags=pairs_to_json(data.tags)
        ),
        "inputs": _filled(dataset_inputs=[input_to_json(i) for i in run.inputs.dataset_inputs]),
        "outputs": _filled(
            model_outputs=[{"model_id": model.model_id, "step": 0} for model in run.models]
        ),
    }


def run_from_json(
    item: Mapping[str, Any], experiment_name: str, models: Sequence[ModelInfo] = ()
) -> Run:
    """Return the run that was sent.

    Of a metric the protocol tells the last point only: of the other parts of its summary the
    numbers are NaN, and the count is 0.
    """
    info, data = item["info"], item.get("data", {})
    tags = pairs_from_json(data.get("tags"))
    lasts = [metric_from_json(metric) for metric in data.get("metrics", ())]
    error = tags.pop(ERROR_TAG, None)
    return Run(
        info=RunInfo(
            run_id=str(info.get("run_id") or info["run_uuid"]),
            run_name=str(info.get("run_name", "")),
            experiment_id=str(info.get("experiment_id", "")),
            experiment_name=experiment_name,
            status=RunStatus(info.get("status", "RUNNING")),
            start_time=_int(info.get("start_time")),
            end_time=None if info.get("end_time") is None else int(info["end_time"]),
            user_id=str(info.get("user_id", "")),
            lifecycle_stage=LifecycleStage(info.get("lifecycle_stage", "active")),
            artifact_uri=str(info.get("artifact_uri", "")),
            parent_run_id=tags.get(PARENT_TAG),
            error=error,
        ),
        data=RunData(
            params=pairs_from_json(data.get("params")),
            metrics={metric.key: metric.value for metric in lasts},
            tags=tags,
            summaries={metric.key: _only_last(metric) for metric in lasts},
        ),
        inputs=RunInputs(
            tuple(map(input_from_json, item.get("inputs", {}).get("dataset_inputs", ())))
        ),
        models=tuple(models),
    )


def _only_last(metric: Metric) -> MetricSummary:
    return MetricSummary(
        metric.key,
        last=metric.value,
        last_step=metric.step,
        last_timestamp=metric.timestamp,
        first=math.nan,
        min=math.nan,
        max=math.nan,
        count=0,
    )


# ----------------------------------------------------------------------------- models


def logged_model_from_json(item: Mapping[str, Any]) -> ModelInfo:
    """Return a logged model as a model of the run that made it; else its name is its path."""
    info, data = item["info"], item.get("data", {})
    tags = pairs_from_json(info.get("tags"))
    return ModelInfo(
        model_id=str(info["model_id"]),
        run_id=str(info.get("source_run_id", "")),
        artifact_path=tags.pop(ARTIFACT_PATH_TAG, str(info.get("name", ""))),
        flavor=tags.pop(FLAVOR_TAG, ""),
        model_class=tags.pop(CLASS_TAG, ""),
        size_bytes=_int(tags.pop(SIZE_TAG, None)),
        created_ms=_int(info.get("creation_timestamp_ms")),
        name=str(info.get("name", "")),
        model_type=str(info.get("model_type", "")),
        status=str(info.get("status", "LOGGED_MODEL_READY")),
        params=pairs_from_json(data.get("params")),
        tags=tags,
    )


def version_to_json(version: ModelVersion) -> JSON:
    """Return a version of a registered model as the protocol has it; its number is a text."""
    return _filled(
        name=version.name,
        version=str(version.version),
        creation_timestamp=version.creation_timestamp,
        last_updated_timestamp=version.last_updated_timestamp or version.creation_timestamp,
        current_stage=version.current_stage,
        description=version.description,
        user_id=version.user_id,
        source=version.source,
        run_id=version.run_id or "",
        status=version.status,
        run_link=version.run_link,
        model_id=version.model_id,
        tags=pairs_to_json(version.tags),
        aliases=list(version.aliases),
    )


def version_from_json(item: Mapping[str, Any]) -> ModelVersion:
    """Return the version of a registered model that was sent."""
    return ModelVersion(
        name=str(item["name"]),
        version=int(item["version"]),
        run_id=item.get("run_id") or None,
        run_name=None,
        source=str(item.get("source", "")),
        creation_timestamp=_int(item.get("creation_timestamp")),
        user_id=str(item.get("user_id", "")),
        aliases=tuple(map(str, item.get("aliases", ()))),
        description=str(item.get("description", "")),
        current_stage=str(item.get("current_stage", "None")),
        status=str(item.get("status", "READY")),
        run_link=str(item.get("run_link", "")),
        model_id=item.get("model_id") or None,
        last_updated_timestamp=(
            None
            if item.get("last_updated_timestamp") is None
            else int(item["last_updated_timestamp"])
        ),
        tags=pairs_from_json(item.get("tags")),
    )


def registered_to_json(model: RegisteredModel, latest: Iterable[ModelVersion] = ()) -> JSON:
    """Return a registered model as the protocol has it, with the newest version of each stage."""
    aliases = [
        {"alias": alias, "version": str(version.version)}
        for version in model.versions
        for alias in version.aliases
    ]
    return _filled(
        name=model.name,
        creation_timestamp=model.creation_timestamp,
        last_updated_timestamp=model.last_updated_timestamp,
        description=model.description,
        latest_versions=[version_to_json(version) for version in latest],
        tags=pairs_to_json(model.tags),
        aliases=aliases,
    )


def registered_from_json(
    item: Mapping[str, Any], versions: Sequence[ModelVersion] = ()
) -> RegisteredModel:
    """Return the registered model that was sent, with its versions."""
    return RegisteredModel(
        str(item["name"]),
        _int(item.get("creation_timestamp")),
        _int(item.get("last_updated_timestamp")),
        tuple(versions),
        str(item.get("description", "")),
        pairs_from_json(item.get("tags")),
    )
