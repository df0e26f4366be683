"""Storing what any reader yields: all of it, once, whole runs, whatever happens meanwhile."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbtrack.tracking import Client
from nbtrack.transfer import MergeReport
from nbtrack.transfer.imports import import_archive
from nbtrack.transfer.imports.base import (
    ForeignExperiment,
    ForeignFile,
    ForeignModel,
    ForeignRun,
    ForeignSeries,
)
from nbtrack.types import RunStatus


@dataclass
class Archive:
    """An archive in memory."""

    given: Sequence[ForeignRun]
    models: Sequence[ForeignModel] = ()
    label: str = "memory"
    problems: list[str] = field(default_factory=list)

    def experiments(self) -> Iterator[ForeignExperiment]:
        for name in dict.fromkeys(run.experiment for run in self.given):
            yield ForeignExperiment(name)

    def run_count(self) -> int:
        return len(self.given)

    def runs(self) -> Iterator[ForeignRun]:
        yield from self.given

    def registered_models(self) -> Iterator[ForeignModel]:
        yield from self.models

    def close(self) -> None:
        pass


Points = list[tuple[int, int, float]]


def foreign(
    number: int,
    metrics: dict[str, Points] | None = None,
    files: dict[str, bytes] | None = None,
    **more: object,
) -> ForeignRun:
    def series() -> Iterator[ForeignSeries]:
        for key, points in (metrics or {}).items():
            for part in (points[:2], points[2:]):
                if part:
                    steps, times, values = zip(*part, strict=True)
                    yield ForeignSeries(
                        key,
                        np.array(steps, np.int64),
                        np.array(times, np.int64),
                        np.array(values, np.float64),
                    )

    def taken() -> Iterator[ForeignFile]:
        for path, data in (files or {}).items():
            yield ForeignFile(path, lambda data=data: io.BytesIO(data), len(data))

    run = ForeignRun(
        f"{number:032x}",
        f"run {number}",
        "wine",
        RunStatus.FINISHED,
        1_000,
        2_000,
        series=series,
        files=taken,
    )
    return replace(run, **more)  # type: ignore[arg-type]


def bring(client: Client, runs: Sequence[ForeignRun], **more: object) -> MergeReport:
    return import_archive(
        Archive(runs),
        client.workspace.writer,
        client.path,
        user_id="ada",
        session_id=client.workspace.session.session_id,
        **more,  # type: ignore[arg-type]
    )


INT64 = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=10), max_size=3)
POINTS = st.lists(st.tuples(INT64, INT64, st.floats()), min_size=1, max_size=8)
METRICS = st.dictionaries(st.text("abc/ü", min_size=1, max_size=3), POINTS, max_size=3)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    params=TEXTS, tags=TEXTS, metrics=METRICS, data=st.binary(max_size=50), cut=st.integers(0, 8)
)
def test_what_comes_is_there_once_and_grows(
    params: dict[str, str], tags: dict[str, str], metrics: dict[str, Points], data: bytes, cut: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        client = Client(Path(folder) / "nbtrack.db")
        try:
            files = {"a/b": data}
            less = {key: points[:cut] for key, points in metrics.items()}
            bring(client, [foreign(1, less, files, status=RunStatus.RUNNING, end_time=None)])
            run = foreign(1, metrics, files, params=params, tags=tags)
            assert bring(client, [run]).conflicts == []
            report = bring(client, [run])
            assert (report.added, report.updated, report.unchanged) == ([], [], 1)
            assert (report.files, report.problems, report.conflicts) == (0, [], [])
            stored = client.get_run(run.run_id)
            assert len(stored.data.params) <= len(params)
            assert set(stored.data.metrics) == set(metrics)
            for key, points in metrics.items():
                mine = [
                    (m.step, m.timestamp, m.value)
                    for m in client.get_metric_history(run.run_id, key)
                ]
                assert sorted(map(repr, mine)) == sorted(map(repr, points))
                last = max(points, key=lambda p: (p[0], p[1], math.isnan(p[2]), p[2]))
                assert repr(stored.data.metrics[key] + 0.0) == repr(last[2] + 0.0)
            assert client.workspace.artifacts.read(run.run_id, "a/b") == data
        finally:
            client.workspace.writer.close()


def test_texts_stay_what_they_are(client: Client) -> None:
    texts = {"größe 🍷": "a\nb\r\n", " ": "", "x" * 300: "y" * 10_000}
    bring(client, [foreign(1, params=texts, tags=texts)])
    data = client.get_run(f"{1:032x}").data
    assert data.params == data.tags == texts


def test_one_that_cannot_be_stored_does_not_keep_the_others_away(client: Client) -> None:
    def broken() -> Iterator[ForeignSeries]:
        yield ForeignSeries("m", np.array([1]), np.array([1]), np.array([1.0]))
        raise OSError("the disk is gone")

    def unreadable() -> Iterator[ForeignFile]:
        yield ForeignFile("gone", lambda: Path("/nonexistent").open("rb"))  # noqa: SIM115
        yield ForeignFile("../../out", lambda: io.BytesIO(b"x"))
        yield ForeignFile("fine", lambda: io.BytesIO(b"x"))

    report = bring(
        client,
        [
            foreign(1, series=broken),
            replace(foreign(2), run_id="../etc"),
            foreign(3, start_time=-5),
            foreign(4, files=None),
            replace(foreign(5), files=unreadable),
        ],
    )
    assert report.added == [f"{4:032x}", f"{5:032x}"]
    assert len(report.problems) == 5
    assert [file.path for file in client.workspace.artifacts.list(f"{5:032x}")] == ["fine"]


def test_an_interrupted_import_leaves_whole_runs_and_goes_on(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbtrack.transfer.imports.write._BATCH_RUNS", 2)
    runs = [foreign(i, {"m": [(0, 1, i / 7)]}, {"f": b"%d" % i}) for i in range(10)]

    def interrupted(done: int, total: int) -> None:
        assert total == len(runs)
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(client, runs, progress=interrupted)
    experiment = client.get_experiment_by_name("wine")
    assert experiment is not None
    here = client.search_runs([experiment.experiment_id])
    assert len(here) == 4
    for run in here:
        assert run.data.metrics
        assert client.workspace.artifacts.list(run.info.run_id)
    report = bring(client, runs)
    assert (len(report.added), report.unchanged) == (6, 4)


def test_progress_ends_with_all_runs(client: Client) -> None:
    told: list[tuple[int, int]] = []
    bring(client, [foreign(i) for i in range(5)], progress=lambda *pair: told.append(pair))
    assert told[0] == (0, 5)
    assert told[-1] == (5, 5)


def test_who_writes_meanwhile_has_a_turn(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbtrack.transfer.imports.write._BATCH_RUNS", 1)
    run = client.start_run("mine")
    runs = [foreign(i) for i in range(5)]

    def log(done: int, _: int) -> None:
        run.log_metric("m", done, step=done)

    bring(client, runs, progress=log)
    run.end()
    assert {m.step for m in client.get_metric_history(run.run_id, "m")} == set(range(6))


def test_a_file_that_is_another_one_here_is_kept(client: Client) -> None:
    bring(client, [foreign(1, files={"a": b"1"})])
    report = bring(client, [foreign(1, files={"a": b"2", "b": b"3"})])
    assert len(report.conflicts) == 1
    assert client.workspace.artifacts.read(f"{1:032x}", "a") == b"1"
    assert client.workspace.artifacts.read(f"{1:032x}", "b") == b"3"


def test_many_files_do_not_wait_in_memory(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbtrack.transfer.imports.write._WAITING_BYTES", 100)
    files = {f"f{i}": bytes([i]) * 60 for i in range(20)}
    report = bring(client, [foreign(1, files=files)])
    assert (report.files, report.problems) == (20, [])
    for path, data in files.items():
        assert client.workspace.artifacts.read(f"{1:032x}", path) == data
