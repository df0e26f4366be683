"""The protocol's JSON and our types: what goes out comes back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.types import (
    Dataset,
    DatasetInput,
    Experiment,
    LifecycleStage,
    Metric,
    MetricSummary,
    ModelVersion,
    RegisteredModel,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunStatus,
)
from nbtrack.wire import messages

_texts = st.text(max_size=20)
_filled = st.text(min_size=1, max_size=20)
_int64 = st.integers(-(2**63), 2**63 - 1)
_pairs = st.dictionaries(_filled, _texts, max_size=4)
_floats = st.floats(allow_nan=False)
_json = st.dictionaries(_texts, st.integers() | _texts | st.none(), max_size=3)
_inputs = st.builds(
    DatasetInput,
    st.builds(Dataset, _filled, _texts, _texts, _json, _json, _texts),
    _texts,
    st.dictionaries(_filled.filter(lambda key: key != messages.CONTEXT_TAG), _texts, max_size=3),
)
_versions = st.builds(
    ModelVersion,
    name=_filled,
    version=st.integers(1, 2**31),
    run_id=st.none() | _filled,
    run_name=st.none(),
    source=_texts,
    creation_timestamp=_int64,
    user_id=_texts,
    aliases=st.lists(_filled, max_size=3).map(tuple),
    description=_texts,
    model_id=st.none() | _filled,
    last_updated_timestamp=_int64.filter(bool),
    tags=_pairs,
)


def _sent(item: dict[str, Any]) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(json.dumps(item, allow_nan=False))
    return sent


@given(st.builds(Metric, _filled, st.floats(), _int64, _int64, st.none() | _filled))
def test_points(metric: Metric) -> None:
    found = messages.metric_from_json(_sent(messages.metric_to_json(metric)))
    assert repr(found) == repr(metric)


def test_numbers_may_be_texts() -> None:
    point = {"key": "m", "value": "-Infinity", "timestamp": "12", "step": "-3"}
    assert messages.metric_from_json(point) == Metric("m", -math.inf, 12, -3)


@given(_inputs)
def test_inputs(item: DatasetInput) -> None:
    assert messages.input_from_json(_sent(messages.input_to_json(item))) == item


@given(
    st.builds(
        Experiment,
        _filled,
        _filled,
        st.sampled_from(LifecycleStage),
        _int64,
        _int64,
        _texts,
        _pairs,
    )
)
def test_experiments(experiment: Experiment) -> None:
    assert messages.experiment_from_json(_sent(messages.experiment_to_json(experiment))) == (
        experiment
    )


@given(
    status=st.sampled_from(RunStatus),
    end=st.none() | _int64,
    params=_pairs,
    tags=_pairs,
    lasts=st.dictionaries(_filled, _floats, max_size=3),
    inputs=st.lists(_inputs, max_size=2),
)
def test_runs(  # noqa: PLR0917 - one for each part of a run
    status: RunStatus,
    end: int | None,
    params: dict[str, str],
    tags: dict[str, str],
    lasts: dict[str, float],
    inputs: list[DatasetInput],
) -> None:
    stage = LifecycleStage.ACTIVE
    info = RunInfo("a" * 32, "name", "1", "Default", status, 5, end, "me", stage, "file:///a")
    summaries = {k: MetricSummary(k, v, 3, 4, v, v, v, 1) for k, v in lasts.items()}
    run = Run(info, RunData(params, lasts, tags, summaries), RunInputs(tuple(inputs)))
    found = messages.run_from_json(_sent(messages.run_to_json(run)), "Default")
    assert (found.info, found.inputs) == (info, run.inputs)
    assert (found.data.params, found.data.metrics, found.data.tags) == (params, lasts, tags)
    assert {k: s.last_step for k, s in found.data.summaries.items()} == dict.fromkeys(lasts, 3)


def test_parent_and_error_are_tags_on_the_wire() -> None:
    tags = [
        {"key": messages.PARENT_TAG, "value": "b" * 32},
        {"key": messages.ERROR_TAG, "value": "Traceback"},
    ]
    run = messages.run_from_json({"info": {"run_id": "a"}, "data": {"tags": tags}}, "x")
    assert (run.info.parent_run_id, run.info.error) == ("b" * 32, "Traceback")
    assert run.data.tags == {messages.PARENT_TAG: "b" * 32}


@given(_versions)
def test_versions(version: ModelVersion) -> None:
    assert messages.version_from_json(_sent(messages.version_to_json(version))) == version


@given(_filled, _int64, _texts, _pairs)
def test_registered_models(name: str, time: int, text: str, tags: dict[str, str]) -> None:
    model = RegisteredModel(name, time, time, (), text, tags)
    assert messages.registered_from_json(_sent(messages.registered_to_json(model))) == model


@pytest.mark.parametrize("text", [None, "", "no json", "[1]", "[" * 100_000, 5])
def test_descriptions_of_data_may_be_any_text(text: Any) -> None:
    item = {"dataset": {"name": "X", "schema": text}}
    schema = messages.input_from_json(item).dataset.schema
    assert schema == ({} if not text else {"text": str(text)})
