"""A tracking server as the place of runs: against a fake one, and against a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import nbtrack
from nbtrack.autologging import recording
from nbtrack.autologging.tracker import FluentTracker
from nbtrack.cli import main
from nbtrack.datasource import DataSource
from nbtrack.errors import InvalidParameterError, NotFoundError, StoreError
from nbtrack.provenance import cells
from nbtrack.report import write_report
from nbtrack.testing.fake_server import FakeServer, running
from nbtrack.tracking import Client, notices
from nbtrack.tracking.notices import NbtrackWarning
from nbtrack.tracking.workspace import _open


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    notices.forget()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running() as server:
        yield server


@pytest.fixture
def remote(server: FakeServer) -> Iterator[Client]:
    remote = Client(server.address)
    yield remote
    remote.workspace.close()
    _open.pop(remote.place, None)


@pytest.fixture
def real(mlflow_server: str) -> Client:
    return Client(mlflow_server)


def test_functions_log_to_a_server(remote: Client, server: FakeServer) -> None:
    nbtrack.set_tracking_uri(server.address)
    try:
        with nbtrack.start_run(run_name="mine") as run:
            nbtrack.log_metric("loss", 0.5)
            nbtrack.log_param("a", 1)
        nbtrack.flush()
        assert nbtrack.active_run() is None
    finally:
        nbtrack.set_tracking_uri("")
    stored = server.runs[run.run_id]
    assert (stored["params"], stored["info"]["status"]) == ({"a": "1"}, "FINISHED")
    assert stored["info"]["run_name"] == "mine"


def test_a_fit_goes_on_where_no_server_is(remote: Client, server: FakeServer) -> None:
    server.stop()
    nbtrack.set_tracking_uri(server.address)
    try:
        recorded = recording.Recording(FluentTracker(), "sklearn")
        with pytest.warns(NbtrackWarning, match="could not begin a run"):
            recorded.begin("LinearRegression")
        assert recorded.run is None
        recorded.finish(lambda run: run.set_tags({}))
        recorded.begin("LinearRegression")  # told once: a warning would be an error here
        with pytest.raises(StoreError, match="cannot be reached"):
            nbtrack.start_run()
    finally:
        nbtrack.set_tracking_uri("")


def test_cell_and_environment_become_files(
    remote: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "executions", [])
    cells.begin_cell("model.fit(X, y)  # é", 7, None)
    run = remote.start_run()
    remote.flush()
    root = f"1/{run.run_id}/artifacts/nbtrack"
    assert server.files[f"{root}/cell.py"].decode() == "model.fit(X, y)  # é"
    assert b'"python"' in server.files[f"{root}/environment.json"]


def test_a_server_without_logged_models(remote: Client, server: FakeServer) -> None:
    from sklearn.linear_model import LinearRegression

    run = remote.start_run()
    run.log_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), "sklearn")
    server_tags = server.runs[run.run_id]["tags"]
    server.extra_answers["runs/set-tag"] = lambda body: (
        server_tags.update({body["key"]: body["value"]}) or {}
    )
    remote.flush()
    assert f"1/{run.run_id}/artifacts/model/MLmodel" in server.files
    assert '"artifact_path": "model"' in server_tags["mlflow.log-model.history"]


@pytest.mark.parametrize(
    "path", ["../up.txt", "/etc/passwd", "a/../../b", "c:\\x", "nul\0"]
)  # fmt: skip
def test_paths_of_a_hostile_server_lead_nowhere(
    remote: Client, server: FakeServer, tmp_path: Path, path: str
) -> None:
    run = remote.start_run()
    remote.flush()
    server.listing = [{"path": path.rpartition("/")[2] or path, "is_dir": False, "file_size": 1}]
    if path.rpartition("/")[2] in {"up.txt", "passwd", "b"}:  # a name only: taken as one
        remote.download_artifacts(run.run_id, "", tmp_path / "out")
        assert [p.name for p in tmp_path.iterdir() if p.name != "state"] == ["out"]
        return
    with pytest.raises(InvalidParameterError, match="is no path for an artifact"):
        remote.download_artifacts(run.run_id, "", tmp_path / "out")


def test_what_only_files_have(remote: Client, tmp_path: Path) -> None:
    for verb in (
        lambda: remote.sql("SELECT 1"),
        remote.gc,
        remote.check,
        remote.vacuum,
        lambda: remote.backup(tmp_path / "b.db"),
        lambda: remote.merge(tmp_path / "m.db"),
    ):
        with pytest.raises(InvalidParameterError, match="Only a database file has this"):
            verb()


@pytest.mark.mlflow
def test_all_of_a_run_on_a_real_server(real: Client, tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    run = real.start_run("whole", experiment_name="real")
    run.log_params({"a": 1})
    for step in range(3_000):
        run.log_metric("loss", 1 / (step + 1), step)
    run.log_text("hello", "notes/a.txt")
    run.log_dict({"b": [1]}, "b.json")
    run.log_table({"x": [1]}, "t.json")
    run.log_table({"x": [2]}, "t.json")
    run.log_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), "sklearn")
    run.end()
    assert len(real.get_metric_history("whole", "loss")) == 3_000
    assert [f.path for f in real.list_artifacts("whole")] == [
        "b.json", "nbtrack", "notes", "t.json"]  # fmt: skip
    assert real.load_table(run.experiment_id, "t.json")["x"].tolist() == [1, 2]
    version = real.register_model("whole", "linear")
    assert (version.version, version.run_name) == (1, "whole")
    model: Any = real.load_model("models:/linear/latest")
    assert model.predict([[2.0]]).tolist() == pytest.approx([2.0])
    assert real.load_model(f"runs:/{run.run_id}/model") is not None
    (registered,) = [m for m in real.search_registered_models() if m.name == "linear"]
    assert [v.version for v in registered.versions] == [1]
    with pytest.raises(NotFoundError):
        real.load_model("models:/linear/9")
    detail = real.get_run_detail("whole")
    assert "python" in detail.environment
    source = DataSource(real)
    assert source.call("runs.search", {})["runs"]
    (curve,) = source.call("metrics.history", {"run_ids": [run.run_id], "key": "loss"})
    assert len(curve["values"]) <= 2_002
    page = write_report(tmp_path / "report.html", runs=["whole"], client=real)
    assert "whole" in page.read_text(encoding="utf-8")
    child = real.start_run("child", experiment_name="real", parent_run_id=run.run_id)
    child.end()
    found = real.search_runs(run.experiment_id, f"params.a = '1' AND metrics.loss < {1 / 2_000}")
    assert [r.info.run_name for r in found] == ["whole"]
    assert real.get_run("child").info.parent_run_id == run.run_id
    shown = CliRunner().invoke(main, ["runs", "list", "--db", real.tracking_uri])
    assert (shown.exit_code, "whole" in shown.output) == (0, True), shown.output
    real.delete_run("whole")
    with pytest.raises(InvalidParameterError, match="trash"):
        real.log_metric(run.run_id, "late", 1.0)
    real.restore_run(run.run_id)
