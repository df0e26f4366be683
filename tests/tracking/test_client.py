"""The client: handles, trash, batches, pages, and which database and experiment are meant."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack.entities import DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.exceptions import MlflowException
from nbtrack.settings import settings
from nbtrack.tracking import Client, MlflowClient, active, location, notices
from nbtrack.tracking.client import base
from nbtrack.tracking.paging import PagedList, view_type


def test_mlflows_name() -> None:
    assert MlflowClient is Client is nbtrack.MlflowClient
    assert issubclass(NotFoundError, MlflowException)


def test_one_handle_for_all_who_write(client: Client) -> None:
    with client.start_run("r") as run:
        assert client.handle("r") is run
        assert client.handle(run.run_id[:6]) is run
        assert Client(client.path).handle(run.run_id) is run
        client.log_metric(run.run_id, "m", 1)
        assert run.metrics == {"m": 1.0}
    client.set_terminated("r", "FAILED")
    assert client.get_run("r").info.status == "FAILED"  # the last word counts


def test_a_stored_run_is_attached(client: Client) -> None:
    with client.start_run("r", tags={"t": 1}) as run:
        run.log_param("p", 1)
    client._handles.clear()
    handle = client.handle("r")
    assert handle is not run
    assert (handle.params, handle.tags, handle.status) == ({"p": "1"}, {"t": "1"}, "FINISHED")
    assert handle.info == client.get_run("r").info
    handle.log_metric("late", 2)
    assert client.get_run("r").data.metrics == {"late": 2.0}


def test_few_handles_are_kept(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_MAX_HANDLES", 4)
    ids = [client.create_run("0").run_id for _ in range(20)]
    assert len(client._handles) <= 5
    for run_id in ids:
        client.log_metric(run_id, "m", 1)
    assert len(client.search_runs(filter_string="metrics.m = 1")) == 20


def test_a_param_keeps_its_history(client: Client) -> None:
    with client.start_run("r") as run:
        for value in (1, 2, 2, 3):
            run.log_param("p", value)
    assert client.get_param_history("r", "p") == ["1", "2", "3"]
    assert client.get_run("r").data.params == {"p": "3"}
    assert client.get_param_history("r", "unknown") == []


def test_summaries(client: Client) -> None:
    with client.start_run("r") as run:
        for step, value in enumerate((3.0, math.nan, 1.0, math.inf, 2.0)):
            run.log_metric("m", value, step)
    summary = client.get_run("r").data.summaries["m"]
    found = (summary.first, summary.last, summary.min, summary.max, summary.count)
    assert found == (3.0, 2.0, 1.0, math.inf, 5)


@pytest.mark.parametrize(
    "batch",
    [
        {"metrics": [Metric("m", "high", 1, 1)]},  # type: ignore[arg-type]
        {"metrics": [Metric("m", 1.0, 1, 2**63)]},
        {"metrics": [Metric("m", 1.0, None, 1)]},  # type: ignore[arg-type]
        {"params": [Param("", 1)]},
        {"tags": [RunTag("", 1)]},
    ],
)
def test_a_batch_is_logged_as_a_whole(client: Client, batch: dict[str, list[Any]]) -> None:
    run = client.start_run("r")
    good: dict[str, list[Any]] = {
        "metrics": [Metric("good", 1.0, 1, 1)],
        "params": [Param("good", 1)],
        "tags": [RunTag("good", 1)],
    }
    with pytest.raises(InvalidParameterError):
        client.log_batch(run.run_id, **{key: good[key] + batch.get(key, []) for key in good})
    data = client.get_run("r").data
    assert (data.params, data.metrics, "good" in data.tags) == ({}, {}, False)


def test_metrics_of_models_and_datasets(client: Client) -> None:
    run = client.start_run("r")
    client.log_metric("r", "m", 1, step=2, model_id="m-1", dataset_name="d", dataset_digest="x")
    (linked,) = client.workspace.store.linked_metrics(run.run_id)
    assert (linked.key, linked.model_id, linked.dataset_name) == ("m", "m-1", "d")
    assert client.get_run("r").data.metrics == {"m": 1.0}


def test_inputs_with_mlflows_tags(client: Client) -> None:
    client.start_run("r")
    data = nbtrack.data.from_list([{"x": 1}], name="list")
    tags = [InputTag("mlflow.data.context", "eval"), InputTag("k", "v")]
    client.log_inputs("r", [DatasetInput(data, tags=tags), DatasetInput(data, "train")])  # type: ignore[arg-type]
    found = client.get_run("r").inputs.dataset_inputs
    assert [(i.context, dict(i.tags)) for i in found] == [("eval", {"k": "v"}), ("train", {})]
    with pytest.raises(InvalidParameterError, match="A list is no DatasetInput"):
        client.log_inputs("r", [[1]])
    with pytest.raises(InvalidParameterError, match="cannot have models as inputs"):
        client.log_inputs("r", models=["m"])


def test_in_the_trash(client: Client) -> None:
    run = client.start_run("r")
    client.delete_run("r")
    for call in (client.log_param, client.log_metric, client.set_tag):
        with pytest.raises(InvalidParameterError, match=r"The run r .* is in the trash") as caught:
            call(run.run_id, "a", 1)
        assert run.run_id in (caught.value.hint or "")
    with pytest.raises(NotFoundError):
        client.get_run("r")  # names and prefixes do not reach into it
    assert client.search_runs() == []
    client.restore_run(run.run_id)
    client.log_metric("r", "m", 1)


def test_runs_go_into_the_trash_with_their_experiment(client: Client) -> None:
    made = client.create_experiment("x")
    run = client.start_run(experiment_id=made)
    client.delete_experiment(made)
    with pytest.raises(InvalidParameterError, match="is in the trash"):
        client.set_tag(run.run_id, "a", 1)
    with pytest.raises(InvalidParameterError, match="The experiment 'x' is in the trash"):
        client.start_run(experiment_name="x")
    client.restore_experiment(made)
    client.set_tag(run.run_id, "a", 1)
    client.start_run(experiment_name="x")


def test_a_renamed_experiment_stays_chosen(default: Client) -> None:
    made = nbtrack.set_experiment("old")
    default.rename_experiment(made.experiment_id, "new")
    with nbtrack.start_run() as run:
        assert run.info.experiment_id == made.experiment_id


def test_pages(client: Client) -> None:
    for i in range(5):
        client.start_run(f"r{i}").end()
    names, token = [], None
    while True:
        page = client.search_runs(max_results=2, order_by=["run_name ASC"], page_token=token)
        assert isinstance(page, PagedList)
        names.append([run.info.run_name for run in page])
        token = page.token
        if token is None:
            break
    assert names == [["r0", "r1"], ["r2", "r3"], ["r4"]]
    assert client.search_runs(max_results=5).token is None


@pytest.mark.parametrize("token", ["x", "ZnJvbSAtMQ==", "ZnJvbSB4", "\ud800", "a" * 100_000])
def test_tokens_that_are_none(client: Client, token: str) -> None:
    client.start_run()
    with pytest.raises(InvalidParameterError, match="is no page token"):
        client.search_runs(page_token=token)


def test_views() -> None:
    assert [view_type(v) for v in (1, 2, 3, "ALL")] == [*ViewType, ViewType.ALL]
    for bad in (0, 4, "all", None, 1.5):
        with pytest.raises(InvalidParameterError, match="is no view of runs"):
            view_type(bad)


def test_a_registry_elsewhere_is_refused(client: Client, elsewhere: Path) -> None:
    assert Client(client.path, registry_uri=client.path).path == client.path
    with pytest.raises(InvalidParameterError, match="is not the database"):
        Client(client.path, registry_uri=elsewhere)


# -- which database


@pytest.fixture
def undecided(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder where nobody has chosen a database yet."""
    monkeypatch.setattr(location, "_chosen", [])
    monkeypatch.setattr(location, "_by_code", [])
    monkeypatch.setattr(settings, "values", {})
    notices.forget()
    return workdir


def test_variables_of_both(undecided: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not nbtrack.is_tracking_uri_set()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///theirs.db")
    assert Client().path == undecided / "theirs.db"
    monkeypatch.setenv("NBTRACK_TRACKING_URI", "ours.db")
    assert Client().path == undecided / "ours.db"
    monkeypatch.setenv("NBTRACK_DB", "first.db")
    assert Client().path == undecided / "first.db"
    assert nbtrack.is_tracking_uri_set()


def test_a_server_may_be_chosen(undecided: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@localhost:5000/")
    assert Client().tracking_uri == nbtrack.get_tracking_uri() == "http://localhost:5000"
    assert "s3cret" not in repr(Client())
    assert Client().place == Client("http://me:s3cret@localhost:5000").place
    nbtrack.set_tracking_uri("https://other")
    assert str(Client().place) == "https://other"
    with pytest.raises(InvalidParameterError, match="Only a database file has this"):
        _ = Client().path
    with pytest.raises(InvalidParameterError, match="is not the database 'http://localhost:5000'"):
        Client("http://localhost:5000", registry_uri="http://me:s3cret@host")


@pytest.mark.parametrize("uri", ["postgresql://host/db", "databricks", "http://", "."])
def test_what_only_mlflow_can_use_is_left_aside(
    undecided: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.warns(notices.NbtrackWarning, match="MLFLOW_TRACKING_URI is left aside") as told:
        assert Client().path == Client().path == undecided / "nbtrack.db"
    assert len(told) == 1
    with pytest.raises(InvalidParameterError):
        nbtrack.set_tracking_uri(uri)


def test_a_client_uses_what_was_chosen(undecided: Path) -> None:
    nbtrack.set_tracking_uri("mine.db")
    assert Client().path == undecided / "mine.db"
    assert Client().tracking_uri == nbtrack.get_tracking_uri()


# -- which experiment


def test_experiments_by_settings(default: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = nbtrack.create_experiment("by id")
    monkeypatch.setenv("NBTRACK_EXPERIMENT_ID", made)
    with nbtrack.start_run() as run:
        assert run.info.experiment_name == "by id"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "other")
    with pytest.raises(InvalidParameterError, match="is 'by id', and not 'other'"):
        nbtrack.start_run()
    settings.experiment = "by code"
    with nbtrack.start_run() as run:
        assert run.info.experiment_name == "by code"
    assert active.open_runs() == ()


def test_the_run_of_the_environment_is_ours_first(
    default: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (default.create_run("0").run_id for _ in range(2))
    monkeypatch.setenv("MLFLOW_RUN_ID", one)
    monkeypatch.setenv("NBTRACK_RUN_ID", two)
    with nbtrack.start_run() as run:
        assert run.run_id == two
    with nbtrack.start_run() as run:
        assert run.run_id not in {one, two}


def test_a_name_by_position_is_explained(default: Client) -> None:
    with nbtrack.start_run(run_name="x"):
        pass
    with pytest.raises(NotFoundError) as caught:
        nbtrack.start_run("my run")
    assert "start_run(run_name=...)" in (caught.value.hint or "")


def test_what_contradicts_a_known_run(default: Client) -> None:
    with nbtrack.start_run(run_name="x"):
        pass
    with pytest.raises(InvalidParameterError, match="has the experiment 0, and not 7"):
        nbtrack.start_run("x", experiment_id="7")
    with pytest.raises(InvalidParameterError, match="has the parent None, and not y"):
        nbtrack.start_run("x", parent_run_id="y")


def test_experiments_of_a_database_that_is_not_there_yet(tmp_path: Path) -> None:
    client = Client(tmp_path / "none.db")
    assert client.get_experiment("0").name == "Default"
    assert client.get_experiment_by_name("Default").experiment_id == "0"  # type: ignore[union-attr]
    assert client.get_experiment_by_name("other") is None
    assert [x.name for x in client.search_experiments()] == ["Default"]
    assert client.search_experiments(ViewType.DELETED_ONLY) == []
    assert not client.path.exists()
    with pytest.raises(NotFoundError, match="There is no database"):
        client.get_experiment("1")


def test_an_empty_uri_chooses_again_when_a_database_is_needed(
    default: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbtrack.set_tracking_uri("")
    other = tmp_path / "folder"
    other.mkdir()
    monkeypatch.chdir(other)  # there is none above it that is looked for: a database in `other`
    (other / ".git").mkdir()
    assert nbtrack.get_tracking_uri() == str(other / "nbtrack.db")
    assert not nbtrack.is_tracking_uri_set()
