"""What the front end asks for: named operations, strict JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.datasource import MAX_CURVES, MAX_POINTS, DataSource, number
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.ipython.drawing import card_html, card_text
from nbtrack.media import Plot
from nbtrack.provenance import cells
from nbtrack.provenance.cells import begin_cell, end_cell
from nbtrack.tracking import Client
from nbtrack.types import CANDIDATE_TAG
from nbtrack.widgets.comparison import CompareWidget

HOSTILE = "</script><b>\"'\0\ud83d\u2028"


@pytest.fixture
def source(client: Client) -> DataSource:
    return DataSource(client)


@pytest.fixture
def run_id(client: Client, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a run with one of everything, odd numbers and hostile names among it."""
    monkeypatch.setattr(cells, "executions", [])
    begin_cell(f"fit()  # {HOSTILE}", 3, None)
    with client.start_run(f"r {HOSTILE}", tags={HOSTILE: HOSTILE}) as run:
        run.log_params({HOSTILE: HOSTILE, "a": 1})
        for step, value in enumerate([1.0, math.nan, math.inf, -math.inf]):
            run.log_metrics({"m": value, HOSTILE: value}, step)
        run.log_metric("nan", math.nan)
        run.log_input(np.zeros((2, 3)), HOSTILE)
        run.log_model({"any": "object"}, "sklearn")
    end_cell("ok")
    client.register_model(run.run_id, "iris")
    return run.run_id


def strict(result: object) -> Any:
    """Return a result as it comes out of strict JSON."""
    text = json.dumps(result, allow_nan=False)
    text.encode()
    loaded = json.loads(text)
    assert loaded == result
    return loaded


def test_runs(source: DataSource, run_id: str) -> None:
    (run,) = strict(source.call("runs.search", {}))["runs"]
    assert run["run_id"] == run_id
    assert run["status"] == "FINISHED"
    assert run["params"]["a"] == "1"
    assert run["metrics"]["m"] == {
        "last": "-Infinity",
        "min": "-Infinity",
        "max": "Infinity",
        "count": 4,
    }
    assert run["metrics"]["nan"] == {"last": "NaN", "min": "NaN", "max": "NaN", "count": 1}
    assert run["execution_count"] == 3
    assert run["registered"] == [{"name": "iris", "version": 1}]
    assert run["models"][0]["flavor"] == "sklearn"
    assert strict(source.call("runs.search", {"run_ids": [run_id[:8]]}))["runs"] == [run]
    assert source.call("runs.search", {"run_ids": []}) == {"runs": []}


def test_candidates_of_a_search_are_shown_if_they_are_named(
    source: DataSource, client: Client
) -> None:
    with client.start_run("search") as search:
        pass
    tags = {CANDIDATE_TAG: "true"}
    with client.start_run("one", parent_run_id=search.run_id, tags=tags) as one:
        one.log_metric("mean_test_score", 0.5)
    names = [run["run_name"] for run in source.call("runs.search", {})["runs"]]
    assert names == ["search"]
    named = source.call("runs.search", {"run_ids": [one.run_id]})["runs"]
    assert [run["run_name"] for run in named] == ["one"]
    widget = CompareWidget(client)
    assert list(widget.to_pandas()["name"]) == ["search"]
    assert "one" not in widget._repr_mimebundle_()[0]["text/plain"]
    widget.close()
    html, text = card_html([search, one]), card_text([search, one])
    assert "1 run" in html
    assert "1 candidate kept" in html
    assert "mean_test_score" not in html
    assert "one" not in text.split()


def test_what_training_tells_comes_last_in_a_card(client: Client) -> None:
    with client.start_run("a", tags={"estimator_name": "Ridge"}) as run:
        for name in ("n_iter", "training_score", "training_r2", "training_mse", "r2_X_test"):
            run.log_metric(name, 0.25)
    html = card_html([run])
    assert html.index("r2_X_test") < html.index("n_iter") < html.index("training_score")


def test_plots_of_a_run(source: DataSource, client: Client) -> None:
    with client.start_run("drawn") as run:
        run.log_plot(Plot("roc X", "roc_curve", {"fpr": [0, math.inf]}, {"auc": 0.5}))
        run.log_text("[1]", "plots/no plot.json")
        run.log_text('{"kind": "folds", "columns": {"a": [1], "b": []}}', "plots/odd.json")
    assert strict(source.call("runs.plots", {"run_id": run.run_id})) == [
        {
            "name": "roc X",
            "kind": "roc_curve",
            "columns": {"fpr": [0, "Infinity"]},
            "meta": {"auc": 0.5},
        }
    ]


def test_a_card_shows_what_the_user_wants_to_know_first(client: Client) -> None:
    with client.start_run("net") as run:
        for name in ("loss", "lr", "lr_opt2", "epoch", "steps_per_s", "val_loss", "val_acc"):
            run.log_metric(name, 0.25)
        for name in ("Ridge-2.training_r2", "mine", "test_f1", "mean_test_f1"):
            run.log_metric(name, 0.25)
    shown = [key for key in run.metrics if f">{key}<" in card_html([run])]
    assert shown == ["loss", "val_loss", "val_acc", "mine"]
    with client.start_run("short") as run:
        run.log_metrics({"loss": 1, "lr": 0.1})
        run.log_params({"lr": 0.5, "best_C": 1})
    html = card_html([run])
    assert html.count(">lr<") == 1
    assert ">best_C<" in html


def test_notices_of_a_card(client: Client) -> None:
    notices = {
        "nbtrack.notice.identical_run": "Same data, params and code as run a (1234abcd).",
        "nbtrack.identical_run": "1234abcd99",
        "nbtrack.notice.leakage": "3 of the 10 rows of X_test were in the training data.",
        "nbtrack.adopted": "True",
    }
    with client.start_run("b", tags=notices) as run:
        pass
    html = card_html([run])
    assert html.index("⚠</span> 3 of the 10") < html.index("Same data")
    assert '<a href="#nbtrack-1234abcd99">a (1234abcd)</a>.' in html
    assert "adopted" in html
    assert f"{run.duration_ms} ms" not in html  # nobody saw how long it took
    run.set_tag(
        "nbtrack.notice.identical_run",
        "Same data, params and code as run a (1234abcd) of other.ipynb.",
    )
    assert "<a" not in card_html([run])


def test_details(source: DataSource, run_id: str) -> None:
    detail = strict(source.call("runs.details", {"run_id": run_id}))
    assert detail["run"] == source.call("runs.search", {})["runs"][0]
    assert detail["inputs"][0]["profile"] == {"shape": [2, 3], "bytes": 48}
    assert {file["path"] for file in detail["artifacts"]} >= {"model/MLmodel", "model/model.pkl"}
    assert detail["cell"]["source"].startswith("fit()  # </script>")
    assert detail["cell"]["execution_count"] == 3
    assert detail["environment"]["python"]


def test_curves(source: DataSource, run_id: str, client: Client) -> None:
    (curve,) = strict(source.call("metrics.history", {"run_ids": [run_id], "key": "m"}))
    assert curve["values"] == [1.0, "NaN", "Infinity", "-Infinity"]
    assert (curve["run_id"], curve["key"], curve["steps"]) == (run_id, "m", [0, 1, 2, 3])
    assert source.call("metrics.history", {"run_ids": [run_id], "key": "unknown"}) == []
    assert len(source.call("metrics.history", {"run_ids": [run_id], "key": HOSTILE})) == 1
    long = client.start_run("long")
    for step in range(MAX_POINTS + 500):
        long.log_metric("m", step, step)
    (curve,) = source.call("metrics.history", {"run_ids": ["long"], "key": "m"})
    assert len(curve["values"]) <= MAX_POINTS + 2
    assert curve["values"][-1] == MAX_POINTS + 499


def test_too_many_curves(source: DataSource) -> None:
    with pytest.raises(InvalidParameterError, match="51 curves were asked for at once") as caught:
        source.call("metrics.history", {"run_ids": ["x"] * (MAX_CURVES + 1), "key": "m"})
    assert caught.value.hint == "Select fewer runs."


def test_models(source: DataSource, run_id: str) -> None:
    assert strict(source.call("models.register", {"run_id": run_id, "name": "rose"})) == {
        "name": "rose",
        "version": 1,
    }
    models = strict(source.call("models.search", {}))
    assert [model["name"] for model in models] == ["iris", "rose"]
    (version,) = models[1]["versions"]
    assert (version["version"], version["run_id"], version["aliases"]) == (1, run_id, [])


def test_an_absent_database(source: DataSource, client: Client) -> None:
    assert source.call("runs.search", {}) == {"runs": []}
    assert source.call("models.search", {}) == []
    with pytest.raises(NotFoundError, match="There is no database"):
        source.call("runs.details", {"run_id": "x"})
    assert not client.path.exists()


@pytest.mark.parametrize(
    "operation", ["", "runs", "call", "__init__", "runs.delete", "_registered"]
)
def test_unknown_operations(source: DataSource, operation: str) -> None:
    with pytest.raises(
        InvalidParameterError, match=f"There is no operation {operation!r}"
    ) as caught:
        source.call(operation, {})
    assert caught.value.hint == (
        "There is: metrics.history, models.register, models.search, runs.details, runs.plots,"
        " runs.search."
    )


@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        ("runs.details", {}, "missing 1 required positional argument: 'run_id'"),
        ("runs.details", {"run_id": "x", "more": 1}, "unexpected keyword argument 'more'"),
        ("metrics.history", {"run_ids": ["x"]}, "'key'"),
    ],
)
def test_wrong_params(
    source: DataSource, operation: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidParameterError, match=f"'{operation}' was called wrongly") as caught:
        source.call(operation, params)
    assert message in caught.value.message


def test_an_error_inside_is_not_taken_for_a_wrong_call(
    source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        len(None)  # type: ignore[arg-type]

    monkeypatch.setattr(source._client, "search_registered_models", broken)
    with pytest.raises(TypeError, match="has no len"):
        source.call("models.search", {})


@given(value=st.floats())
def test_every_number_can_be_told(value: float) -> None:
    told = json.loads(json.dumps(number(value), allow_nan=False))
    back = float(told)
    assert back == value or (math.isnan(back) and math.isnan(value))
