"""The handle of a run: values of every kind, secrets, listeners, notices."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from nbtrack.errors import InvalidParameterError
from nbtrack.media import Plot
from nbtrack.models import Snapshot
from nbtrack.provenance.redaction import MASK
from nbtrack.settings import settings
from nbtrack.tracking import ActiveRun, Client, events, notices


@pytest.fixture
def run(client: Client) -> ActiveRun:
    return client.start_run("r")


# -- metrics


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (1, 1.0),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (np.bool_(True), 1.0),
        (np.array(2.5), 2.5),
        (Decimal("0.25"), 0.25),
        (Fraction(1, 4), 0.25),
        (10**400, math.inf),
        (-(10**400), -math.inf),
        (Fraction(-(10**400)), -math.inf),
        (math.inf, math.inf),
        (5e-324, 5e-324),
    ],
)
def test_numbers_of_every_kind(client: Client, run: ActiveRun, value: Any, stored: float) -> None:
    run.log_metric("m", value)
    assert client.get_run("r").data.metrics == {"m": stored} == run.metrics


def test_not_a_number_is_one(client: Client, run: ActiveRun) -> None:
    run.log_metrics({"a": math.nan, "b": np.float64("nan")})
    metrics = client.get_run("r").data.metrics
    assert len(metrics) == 2
    assert all(map(math.isnan, metrics.values()))


@pytest.mark.parametrize(
    "value", ["high", "0.5", b"1", None, 1j, [1], np.zeros(2), pd.NA, {}, object]
)
def test_values_that_are_no_numbers(client: Client, run: ActiveRun, value: Any) -> None:
    with pytest.raises(InvalidParameterError, match="The metric 'm' cannot have the value") as e:
        run.log_metrics({"good": 1.0, "m": value})
    assert type(value).__name__ in e.value.message
    assert e.value.hint == "Metrics are numbers; texts go to log_param or set_tag."
    assert client.get_run("r").data.metrics == {}
    assert run.metrics == {}


@pytest.mark.parametrize("name", ["step", "timestamp"])
@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, math.nan, math.inf, "a", [], 1j])
def test_places_that_cannot_be_stored(
    client: Client, run: ActiveRun, name: str, value: Any
) -> None:
    with pytest.raises(InvalidParameterError, match=f"The {name} of a metric cannot be") as caught:
        run.log_metric("m", 1.0, **{name: value})
    assert caught.value.hint == "Use a whole number of 64 bits."
    assert client.get_run("r").data.metrics == {}


def test_extreme_places(client: Client, run: ActiveRun) -> None:
    for step in (2**63 - 1, -(2**63), np.int32(7), True):
        run.log_metric("m", 1.0, step, timestamp=step)
    history = client.get_metric_history("r", "m")
    assert [metric.step for metric in history] == [-(2**63), 1, 7, 2**63 - 1]


def test_a_point_has_the_time_it_was_logged_at(client: Client, run: ActiveRun) -> None:
    run.log_metric("m", 1.0)
    (metric,) = client.get_metric_history("r", "m")
    assert metric.step == 0
    assert run.start_time <= metric.timestamp <= run.start_time + 60_000
    assert run.duration_ms >= 0


def test_many_points_of_a_metric(client: Client, run: ActiveRun) -> None:
    run.log_history("loss", np.array([3.0, 2.0, 1.0]), timestamps=[5, 6, 7])
    run.log_history("acc", [0.5, 1], steps=[10, 20])
    run.log_history("none", [])
    history = client.get_metric_history("r", "loss")
    points = [(m.step, m.value, m.timestamp) for m in history]
    assert points == [(0, 3.0, 5), (1, 2.0, 6), (2, 1.0, 7)]
    assert [m.step for m in client.get_metric_history("r", "acc")] == [10, 20]
    assert run.metrics == {"loss": 1.0, "acc": 1.0}


@pytest.mark.parametrize(
    "wrong",
    [{"values": [1.0, "b"]}, {"values": [1.0], "steps": []}, {"values": [1], "steps": [1.5, "a"]}],
)
def test_many_points_or_none(client: Client, run: ActiveRun, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        run.log_history("loss", **wrong)
    assert client.get_run("r").data.metrics == {}


def test_a_model_that_is_bytes(client: Client, run: ActiveRun) -> None:
    def snapshot(data: bytes) -> Snapshot:
        return Snapshot("sklearn", "a.B", {"model.pkl": data}, {}, {})

    run.log_state(snapshot(b"first"), "best")
    run.log_state(snapshot(b"second"), "best")
    run.log_state(snapshot(b"last"))
    assert client.workspace.artifacts.read(run.run_id, "best/model.pkl") == b"second"
    assert client.workspace.artifacts.read(run.run_id, "model/model.pkl") == b"last"
    models = client.sql("select artifact_path, size_bytes from models order by 1")
    assert models.values.tolist() == [["best", 6], ["model", 4]]


def test_a_plot_is_an_artifact(client: Client, run: ActiveRun) -> None:
    run.log_plot(Plot("folds", "folds", {"score": [0.5, 1.0]}))
    stored = client.workspace.artifacts.read(run.run_id, "plots/folds.json")
    assert json.loads(stored)["columns"] == {"score": [0.5, 1.0]}


# -- params and tags


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_texts_of_values(client: Client, run: ActiveRun) -> None:
    run.log_params({"a": None, "b": [1, 2], "c": np.float64(0.5), "d": Broken(), 5: "five"})  # type: ignore[dict-item]
    run.log_param("f", True)
    assert client.get_run("r").data.params == {
        "a": "None",
        "b": "[1, 2]",
        "c": "0.5",
        "d": "<Broken that has no text: RuntimeError>",
        "5": "five",
        "f": "True",
    }


def test_a_text_is_taken_at_once(client: Client, run: ActiveRun) -> None:
    value = [1]
    run.log_param("a", value)
    value.append(2)
    assert client.get_run("r").data.params == {"a": "[1]"}


_secret = st.text("abcXYZ0189+/=", min_size=12, max_size=20).map(lambda text: f"Zq{text}")


@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(secret=_secret)
def test_secrets_are_not_stored(client: Client, secret: str) -> None:
    run = client.start_run()
    facts = {
        "api_key": secret,
        "url": f"https://me:{secret.replace('/', '_')}@host/x",
        "code": f"login(password='{secret}')",
        "plain": "alpha=0.5",
    }
    run.log_params(facts)
    run.set_tags(facts)
    data = client.get_run(run.run_id).data
    tags = {key: text for key, text in data.tags.items() if not key.startswith("mlflow.")}
    for stored in (data.params, tags, run.params, run.tags):
        assert stored == {
            "api_key": MASK,
            "url": f"https://me:{MASK}@host/x",
            "code": f"login(password='{MASK}')",
            "plain": "alpha=0.5",
        }
    client.flush()
    for file in client.path.parent.glob("nbtrack.db*"):
        assert secret.encode() not in file.read_bytes()


def test_inputs(client: Client, run: ActiveRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run.log_input(np.zeros((2, 3)), "X")
    run.log_input([0, 1], "y", "target")
    monkeypatch.setitem(settings.values, "log_datasets", False)
    run.log_input([0, 1], "z")
    inputs = client.get_run_detail("r").inputs
    assert [(i.dataset.name, i.context, i.dataset.profile["shape"]) for i in inputs] == [
        ("X", "train", [2, 3]),
        ("y", "target", [2]),
    ]


def test_representation(run: ActiveRun) -> None:
    assert repr(run) == f"<ActiveRun r {run.run_id[:8]} RUNNING>"


# -- listeners


def test_listeners_are_told_of_every_change(client: Client) -> None:
    told: list[tuple[str, int]] = []

    def listen(run: ActiveRun) -> None:
        told.append((run.status, len(run.metrics)))

    events.subscribe(listen)
    try:
        with client.start_run() as run:
            run.log_metric("m", 1)
    finally:
        events.unsubscribe(listen)
        events.unsubscribe(listen)
    assert told == [("RUNNING", 0), ("RUNNING", 1), ("FINISHED", 1)]


def test_a_display_that_fails_breaks_nothing(client: Client) -> None:
    def broken(run: ActiveRun) -> None:
        raise RuntimeError("no screen")

    events.subscribe(broken)
    try:
        with pytest.warns(UserWarning, match="The display of a run failed: RuntimeError: no") as w:
            run = client.start_run("x")
        run.end()
    finally:
        events.unsubscribe(broken)
    assert len(w) == 1
    assert client.get_run("x").info.status == "FINISHED"


# -- notices


@pytest.fixture
def fresh_notices() -> Iterator[None]:
    notices.forget()
    yield
    notices.defer(False)
    notices.forget()


@pytest.mark.usefixtures("fresh_notices")
class TestNotices:
    def test_each_cause_is_told_once(self) -> None:
        def warn() -> None:
            for i in range(3):
                notices.warn(f"trouble {i}", cause="the same")
                notices.warn("another")

        with pytest.warns(notices.NbtrackWarning) as told:
            warn()
        assert [str(w.message) for w in told] == ["nbtrack: trouble 0", "nbtrack: another"]

    def test_warnings_that_are_errors_raise_nothing(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            notices.warn("trouble")
        assert capsys.readouterr().err == "nbtrack: trouble\n"

    def test_in_a_notebook_they_wait(self) -> None:
        notices.defer(True)
        notices.warn("one")
        notices.warn("two")
        notices.warn("one")
        shown: list[str] = []
        notices.show_waiting(shown.append)
        notices.show_waiting(shown.append)
        assert shown == ["one", "two"]


def test_a_whole_script_with_warnings_as_errors(client: Client) -> None:
    """Also what is imported later, by the writer, must not warn."""
    script = (
        "import sys, nbtrack, numpy as np, click\n"
        "nbtrack.set_tracking_uri(sys.argv[1])\n"
        "with nbtrack.start_run(run_name='r') as run:\n"
        "    run.log_metric('m', 1)\n"
        "    run.log_input(np.zeros(3), 'X')\n"
        "    run.log_model({'a': 1}, 'sklearn')\n"
        "nbtrack.register_model('r', 'x')\n"
        "print(len(nbtrack.runs()), len(nbtrack.search_runs()))\n"
        "print(nbtrack.load_model('models:/x/1'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(client.path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 1\n{'a': 1}\n", "")
