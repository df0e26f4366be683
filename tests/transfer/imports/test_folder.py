"""MLflow's folders, made by hand: of old, damaged, and hostile."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from nbtrack.errors import InvalidParameterError
from nbtrack.tracking import Client
from nbtrack.types import ViewType
from tests.transfer.imports.stores import MODEL, OTHER, RUN, files, folder


def test_a_run_comes_as_it_is(client: Client, tmp_path: Path) -> None:
    made = folder(
        tmp_path / "mlruns",
        **{
            "params/lr": "0.1",
            "params/deep/er": "1",
            "tags/mlflow.runName": "first",
            "metrics/loss": "1000 0.5 0\n1001 nan 1\n1002 -inf 2\n1002 -inf 2\n1003 0.25 -1\n",
            "metrics/val/loss": "1000 1e-5 0",  # without an end
            "artifacts/a/b.txt": b"b",
        },
    )
    report = client.import_runs(made)
    assert (report.added, report.problems, report.conflicts) == ([RUN], [], [])
    run = client.get_run(RUN)
    assert (run.info.run_name, run.info.user_id, run.info.status) == ("first", "ada", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (1000, 2000)
    assert run.data.params == {"lr": "0.1", "deep/er": "1"}
    points = [(m.step, m.timestamp, m.value) for m in client.get_metric_history(RUN, "loss")]
    assert len(points) == 5
    assert math.isnan(points[2][2])
    assert points[0] == (-1, 1003, 0.25)
    assert points[3:] == [(2, 1002, -math.inf)] * 2
    assert run.data.metrics == {"loss": -math.inf, "val/loss": 1e-5}
    assert client.workspace.artifacts.read(RUN, "a/b.txt") == b"b"
    experiment = client.get_experiment("7")
    assert (experiment.name, experiment.creation_time) == ("wine", 500)
    assert experiment.tags == {"nbtrack.import.artifact_location": "/nowhere/mlruns/7"}


def test_numbers_of_experiments_are_kept_where_they_are_free(
    client: Client, tmp_path: Path
) -> None:
    client.create_experiment("mine")  # has number 1
    made = folder(tmp_path / "mlruns")
    files(made, {"1/meta.yaml": "experiment_id: '1'\nname: theirs\n"})
    client.import_runs(made)
    numbers = {e.name: e.experiment_id for e in client.search_experiments()}
    assert (numbers["mine"], numbers["wine"]) == ("1", "7")
    assert numbers["theirs"] not in {"1", "7"}


def test_a_folder_of_mlflow_1(client: Client, tmp_path: Path) -> None:
    made = files(
        tmp_path / "mlruns",
        {
            "0/meta.yaml": "experiment_id: 0\nname: Default\nartifact_location: x\n",
            f"0/{RUN}/meta.yaml": f"run_uuid: {RUN}\nname: ''\nstatus: 4\nsource_type: 4\n"
            "source_name: train.py\nsource_version: abc\nentry_point_name: main\nuser_id: ada\n"
            "experiment_id: 0\nstart_time: 1000\nend_time: 2000\n",
            f"0/{RUN}/metrics/m": "5 1.5\n",
            f"0/{RUN}/tags/mlflow.runName": "old",
            f"0/{RUN}/tags/mlflow.log-model.history": '[{"artifact_path": "model",'
            ' "utc_time_created": "2020-01-01 00:00:00.5", "flavors": {"sklearn": {}}}]',
            f"0/{RUN}/artifacts/model/MLmodel": "flavors:\n  python_function: {}\n  sklearn: {}\n",
        },
    )
    assert client.import_runs(made).problems == []
    run = client.get_run(RUN)
    assert (run.info.run_name, run.info.status) == ("old", "FAILED")
    assert run.data.tags["mlflow.source.name"] == "train.py"
    assert run.data.tags["mlflow.source.type"] == "LOCAL"
    assert run.data.tags["mlflow.source.git.commit"] == "abc"
    assert run.data.tags["mlflow.project.entryPoint"] == "main"
    (point,) = client.get_metric_history(RUN, "m")
    assert (point.timestamp, point.value, point.step) == (5, 1.5, 0)
    (model,) = run.models
    assert (model.artifact_path, model.flavor) == ("model", "sklearn")
    assert model.created_ms == 1_577_836_800_500


def test_what_is_in_the_trash_is_there_too(client: Client, tmp_path: Path) -> None:
    made = folder(tmp_path / "all")
    (made / ".trash").mkdir()
    (made / "7").rename(made / ".trash" / "7")
    client.import_runs(made)
    (experiment,) = client.search_experiments(view_type=ViewType.DELETED_ONLY)
    assert (experiment.name, experiment.experiment_id) == ("wine", "7")


def test_broken_lines_do_not_keep_the_rest_away(client: Client, tmp_path: Path) -> None:
    lines = b"1 0.5 0\n\xff\xfe\x00\n1 x 1\n" + b"9" * 100_000 + b"\n2 0.25 1\n9e99 1 1\n3 1 99999"
    lines += b"9" * 20 + b"\n4 0.125 2\n"
    made = folder(tmp_path / "mlruns", **{"metrics/m": lines})
    (problem,) = client.import_runs(made).problems
    assert "5 lines of" in problem
    assert "the first is line 2" in problem
    assert [m.value for m in client.get_metric_history(RUN, "m")] == [0.5, 0.25, 0.125]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs links and pipes")
def test_links_lead_nowhere_else(client: Client, tmp_path: Path) -> None:
    secret = files(tmp_path / "home", {"secret": b"s", "params/token": b"t"})
    made = folder(tmp_path / "mlruns", **{"artifacts/real": b"r", "params/p": "1"})
    run = made / "7" / RUN
    (run / "artifacts" / "inside").symlink_to("real")
    (run / "artifacts" / "outside").symlink_to(secret / "secret")
    (run / "artifacts" / "folder").symlink_to(secret)
    os.mkfifo(run / "artifacts" / "pipe")
    (run / "params" / "stolen").symlink_to(secret / "secret")
    (run / "tags").symlink_to(secret / "params")
    (made / "7" / OTHER).symlink_to(run)
    report = client.import_runs(made)
    paths = [file.path for file in client.workspace.artifacts.list(RUN)]
    assert paths == ["inside", "real"]
    assert client.get_run(RUN).data.params == {"p": "1"}
    told = "\n".join(report.problems)
    for name in ("outside", "folder", "pipe", "stolen"):
        assert f"{name} was left out" in told
    assert report.added == [RUN]


def test_a_store_cannot_name_any_folder_of_this_machine(client: Client, tmp_path: Path) -> None:
    files(tmp_path / "home", {"secret": b"s"})
    made = folder(tmp_path / "mlruns")
    meta = made / "7" / RUN / "meta.yaml"
    for uri in (
        tmp_path / "home",
        f"{RUN}/../../../../home",
        "mlflow-artifacts:/../home",
        f"local://{tmp_path}/home",
        f"simplecache::file://{tmp_path}/home/{RUN}",
    ):
        meta.write_text(f"run_id: {RUN}\nstart_time: 1\nartifact_uri: {uri}\n")
        report = client.import_runs(made)
        assert client.workspace.artifacts.list(RUN) == []
        assert len(report.problems) == 1


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_folder_of_files_that_is_a_link_is_not_followed(client: Client, tmp_path: Path) -> None:
    files(tmp_path / "home", {"secret": b"s"})
    made = folder(tmp_path / "mlruns")
    run = made / "7" / RUN
    (run / "artifacts").symlink_to(tmp_path / "home")
    for uri in (run / "artifacts", f"7/{RUN}/artifacts"):
        (run / "meta.yaml").write_text(f"run_id: {RUN}\nstart_time: 1\nartifact_uri: {uri}\n")
        client.import_runs(made)
        assert client.workspace.artifacts.list(RUN) == []


@pytest.mark.parametrize(
    "meta",
    [
        f"run_id: {OTHER}\n",
        f"run_id: ../{RUN}\n",
        "!!python/object/apply:os.mkdir [pwned]\n",
        f"run_id: {RUN}\nstatus: 9\n",
        f"run_id: {RUN}\nstart_time: soon\n",
        f"run_id: {RUN}\nlifecycle_stage: undead\n",
        "[" * 100_000,
        "\xff",
        "",
    ],
)
def test_a_run_that_cannot_be_read_is_told(client: Client, workdir: Path, meta: str) -> None:
    made = folder(workdir / "mlruns")
    files(made, {f"7/{OTHER}/meta.yaml": f"run_id: {OTHER}\nstart_time: 1\n"})
    (made / "7" / RUN / "meta.yaml").write_bytes(meta.encode("latin-1"))
    report = client.import_runs(made)
    assert report.added == [OTHER]
    (problem,) = report.problems
    assert RUN in problem
    assert not (workdir / "pwned").exists()


def test_paths_that_cannot_be_artifacts_are_told(client: Client, tmp_path: Path) -> None:
    made = folder(tmp_path / "mlruns", **{"artifacts/a\\b": b"1", "artifacts/ok": b"2"})
    (problem,) = client.import_runs(made).problems
    assert "a\\\\b" in problem
    assert [file.path for file in client.workspace.artifacts.list(RUN)] == ["ok"]


def _served(root: Path) -> Path:
    made = folder(root / "mlruns")
    meta = made / "7" / RUN / "meta.yaml"
    meta.write_text(
        f"run_id: {RUN}\nstart_time: 1\nartifact_uri: mlflow-artifacts:/7/{RUN}/artifacts\n"
    )
    return made


def test_files_that_a_server_kept(client: Client, tmp_path: Path) -> None:
    made = _served(tmp_path)
    (problem,) = client.import_runs(made).problems
    assert "artifacts_destination" in problem
    kept = files(tmp_path / "kept", {f"7/{RUN}/artifacts/a.txt": b"a"})
    report = client.import_runs(made, artifacts_destination=kept)
    assert (report.updated, report.problems) == ([RUN], [])
    assert client.workspace.artifacts.read(RUN, "a.txt") == b"a"


def test_the_folder_of_a_server_is_found_beside_the_store(client: Client, tmp_path: Path) -> None:
    made = _served(tmp_path)
    files(tmp_path / "mlartifacts", {f"7/{RUN}/artifacts/a.txt": b"a"})
    assert client.import_runs(made).problems == []
    assert client.workspace.artifacts.read(RUN, "a.txt") == b"a"


def test_files_at_an_address(client: Client, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe(f"/bucket/7/{RUN}/artifacts/a/b.txt", b"far away")
    made = folder(tmp_path / "mlruns")
    meta = made / "7" / RUN / "meta.yaml"
    meta.write_text(
        f"run_id: {RUN}\nstart_time: 1\nartifact_uri: memory://bucket/7/{RUN}/artifacts\n"
    )
    assert client.import_runs(made).problems == []
    assert client.workspace.artifacts.read(RUN, "a/b.txt") == b"far away"
    served = _served(tmp_path / "served")
    other = Client(tmp_path / "other.db")
    assert other.import_runs(served, artifacts_destination="memory://bucket").problems == []
    assert other.workspace.artifacts.read(RUN, "a/b.txt") == b"far away"
    other.workspace.writer.close()


def test_an_address_that_cannot_be_read_is_told_once(client: Client, tmp_path: Path) -> None:
    made = folder(tmp_path / "mlruns")
    for run_id in (RUN, OTHER):
        meta = f"run_id: {run_id}\nstart_time: 1\nartifact_uri: nosuch://b/7/{run_id}/artifacts\n"
        files(made, {f"7/{run_id}/meta.yaml": meta})
    report = client.import_runs(made)
    assert len(report.added) == 2
    (problem,) = report.problems
    assert "2 runs and models" in problem
    assert "nosuch" in problem


def test_logged_models_find_a_place_among_the_files_of_their_run(
    client: Client, tmp_path: Path
) -> None:
    made = folder(tmp_path / "mlruns", **{"artifacts/model/old": b"1"})
    meta = (
        "name: model\nmodel_id: {}\nexperiment_id: '7'\nstatus: 2\ncreation_timestamp: 5\n"
        f"last_updated_timestamp: 6\nsource_run_id: {RUN}\nstatus_message: fine\n"
    )
    files(
        made,
        {
            f"7/models/{MODEL}/meta.yaml": meta.format(MODEL),
            f"7/models/{MODEL}/artifacts/MLmodel": "flavors: {sklearn: {}}\n",
            f"7/models/{MODEL}/metrics/acc": f"5 0.5 1 {RUN}\n6 0.75 2 {RUN} my data abc\n",
            "models/reg/meta.yaml": "name: reg\ncreation_timestamp: 1\n",
            "models/reg/version-2/meta.yaml": "name: reg\nversion: 2\ncreation_timestamp: 2\n"
            f"source: models:/{MODEL}\nrun_id: {RUN}\n",
            "models/reg/version-3/meta.yaml": "name: reg\nversion: '3'\ncreation_timestamp: 3\n"
            f"source: /nowhere/mlruns/7/{RUN}/artifacts/model\nrun_id: {RUN}\n",
            "models/reg/version-4/meta.yaml": "name: reg\nversion: '4'\ncreation_timestamp: 4\n"
            "source: s3://elsewhere/model\n",
            "models/reg/aliases/best": "3",
            "models/prompt/meta.yaml": "name: prompt\n",
            "models/prompt/tags/mlflow.prompt.is_prompt": "true",
        },
    )
    report = client.import_runs(made)
    paths = [file.path for file in client.workspace.artifacts.list(RUN)]
    assert paths == ["model/old", f"models/{MODEL}/MLmodel"]
    (model,) = client.get_run(RUN).models
    assert model.tags == {"nbtrack.import.status_message": "fine"}
    (reg,) = client.search_registered_models()
    assert [(v.version, v.source) for v in reg.versions] == [
        (4, "s3://elsewhere/model"),
        (3, f"runs:/{RUN}/model"),
        (2, f"runs:/{RUN}/models/{MODEL}"),
    ]
    assert reg.versions[1].aliases == ("best",)
    assert len(report.problems) == 2
    assert "version 4" in report.problems[0]
    assert "1 prompts" in report.problems[1]


def test_an_experiment_that_is_not_there(client: Client, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="There is no experiment 'beer'"):
        client.import_runs(folder(tmp_path / "mlruns"), experiment_name="beer")
