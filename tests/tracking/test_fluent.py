"""The functions of ``nbtrack.*`` and the run that is active."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from pathlib import Path

import numpy as np
import pytest

import nbtrack
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.settings import settings
from nbtrack.tracking import Client
from nbtrack.tracking.names import new_id, new_name
from nbtrack.types import Run

pytestmark = pytest.mark.usefixtures("default")


def own_tags(run: Run) -> dict[str, str]:
    """Return the tags that are not MLflow's bookkeeping."""
    return {key: text for key, text in run.data.tags.items() if not key.startswith("mlflow.")}


# -- life of a run


def test_a_run_ends_itself() -> None:
    with nbtrack.start_run(run_name="mine", tags={"team": "blue"}) as run:
        assert nbtrack.active_run() is run
        nbtrack.log_param("a", 1)
        nbtrack.log_params({"b": 2.5})
        nbtrack.log_metric("loss", 0.5, step=3)
        nbtrack.log_metrics({"loss": 0.25, "acc": 1}, step=4)
        nbtrack.set_tag("c", "x")
        nbtrack.set_tags({"d": None})
    assert nbtrack.active_run() is None
    stored = nbtrack.get_run("mine")
    assert stored.info.status == "FINISHED"
    assert stored.info.end_time is not None
    assert stored.info.end_time >= stored.info.start_time
    assert stored.data.params == {"a": "1", "b": "2.5"} == run.params
    assert stored.data.metrics == {"loss": 0.25, "acc": 1.0} == run.metrics
    assert own_tags(stored) == {"team": "blue", "c": "x", "d": "None"} == run.tags
    assert stored.data.summaries["loss"].first == 0.5


def test_nested_runs() -> None:
    with nbtrack.start_run(run_name="outer") as outer:
        with nbtrack.start_run(run_name="inner", nested=True) as inner:
            assert nbtrack.active_run() is inner
        assert nbtrack.active_run() is outer
    assert nbtrack.get_run("inner").info.parent_run_id == outer.run_id
    assert nbtrack.get_run("outer").info.parent_run_id is None
    with nbtrack.start_run(run_name="alone", nested=True):
        pass
    assert nbtrack.get_run("alone").info.parent_run_id is None


def test_two_runs_at_once_have_to_be_nested() -> None:
    run = nbtrack.start_run(run_name="first")
    with pytest.raises(
        InvalidParameterError, match=rf"run first \({run.run_id[:8]}\) is still active"
    ) as caught:
        nbtrack.start_run(run_name="second")
    assert "nested=True" in (caught.value.hint or "")
    nbtrack.end_run()
    assert nbtrack.active_run() is None
    with nbtrack.start_run(run_name="second"):
        pass


def test_an_exception_fails_the_run() -> None:
    def broken() -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(ZeroDivisionError), nbtrack.start_run(run_name="r"):
        broken()
    info = nbtrack.get_run("r").info
    assert info.status == "FAILED"
    assert info.error is not None
    assert info.error.startswith("Traceback")
    assert "in broken" in info.error
    assert "ZeroDivisionError: by zero" in info.error


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_an_interrupt_kills_the_run(kind: type[BaseException]) -> None:
    with pytest.raises(kind), nbtrack.start_run(run_name="r"):
        raise kind
    info = nbtrack.get_run("r").info
    assert (info.status, info.error) == ("KILLED", None)


def test_secrets_in_a_traceback_go() -> None:
    with pytest.raises(OSError, match="hunter22"), nbtrack.start_run(run_name="r"):
        raise OSError("cannot connect to postgres://me:hunter22@host")
    assert "hunter22" not in (nbtrack.get_run("r").info.error or "")


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_ending_by_hand(status: str) -> None:
    nbtrack.start_run(run_name="r")
    nbtrack.end_run(status)
    nbtrack.end_run()
    assert nbtrack.get_run("r").info.status == status


@pytest.mark.parametrize("status", ["RUNNING", "SCHEDULED", "finished", "", "DONE"])
def test_a_run_cannot_end_with_that(status: str) -> None:
    run = nbtrack.start_run(run_name="r")
    with pytest.raises(InvalidParameterError, match=f"{status!r} is no status that a") as caught:
        nbtrack.end_run(status)
    assert caught.value.hint == "Use FINISHED, FAILED or KILLED."
    assert (run.status, run.end_time) == ("RUNNING", None)
    nbtrack.end_run()


def test_the_first_end_counts() -> None:
    with nbtrack.start_run(run_name="r") as run:
        run.end("FAILED", "reason")
        assert nbtrack.active_run() is None
    info = nbtrack.get_run("r").info
    assert (info.status, info.error) == ("FAILED", "reason")


def test_logging_begins_a_run_if_there_is_none() -> None:
    nbtrack.log_metric("loss", 0.5)
    run = nbtrack.active_run()
    assert run is not None
    nbtrack.log_param("a", 1)
    assert nbtrack.active_run() is run
    nbtrack.end_run()
    assert len(nbtrack.runs()) == 1


def test_a_metric_may_come_after_the_end() -> None:
    with nbtrack.start_run(run_name="r") as run:
        pass
    run.log_metric("late", 1.0)
    assert nbtrack.get_run("r").data.metrics == {"late": 1.0}


# -- threads and tasks


def test_each_thread_has_its_own_active_run() -> None:
    barrier = threading.Barrier(3)
    problems: list[BaseException] = []

    def work(name: str) -> None:
        try:
            assert nbtrack.active_run() is None
            with nbtrack.start_run(run_name=name) as run:
                barrier.wait(10)
                nbtrack.log_param("name", name)
                assert nbtrack.active_run() is run
                barrier.wait(10)
        except BaseException as error:
            problems.append(error)
            barrier.abort()

    with nbtrack.start_run(run_name="main") as main:
        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert nbtrack.active_run() is main
    assert problems == []
    for i in range(3):
        run = nbtrack.get_run(f"t{i}")
        assert run.data.params == {"name": f"t{i}"}
        assert run.info.parent_run_id is None


def test_each_task_has_its_own_active_run() -> None:
    async def work(name: str, ready: asyncio.Barrier) -> None:
        with nbtrack.start_run(run_name=name) as run:
            await ready.wait()
            nbtrack.log_param("name", name)
            await ready.wait()
            assert nbtrack.active_run() is run

    async def main() -> None:
        ready = asyncio.Barrier(3)
        await asyncio.gather(*(work(f"t{i}", ready) for i in range(3)))
        assert nbtrack.active_run() is None

    asyncio.run(main())
    for i in range(3):
        assert nbtrack.get_run(f"t{i}").data.params == {"name": f"t{i}"}


def test_a_task_begins_with_the_run_it_was_made_in() -> None:
    async def child() -> None:
        nbtrack.log_param("from", "child")
        with nbtrack.start_run(run_name="inner", nested=True):
            await asyncio.sleep(0)

    async def main() -> None:
        with nbtrack.start_run(run_name="outer") as outer:
            await asyncio.gather(child(), child())
            assert nbtrack.active_run() is outer

    asyncio.run(main())
    assert nbtrack.get_run("outer").data.params == {"from": "child"}


# -- choosing


def test_choosing_a_database(elsewhere: Path, workdir: Path) -> None:
    nbtrack.set_tracking_uri(elsewhere)
    assert nbtrack.get_tracking_uri() == str(elsewhere)
    with nbtrack.start_run(run_name="there"):
        pass
    nbtrack.flush()
    assert elsewhere.exists()
    nbtrack.set_tracking_uri("")
    assert nbtrack.get_tracking_uri() == str(workdir / "nbtrack.db")
    Client(elsewhere).workspace.writer.close()


def test_the_setting_names_the_database(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBTRACK_DB", f"sqlite:///{elsewhere}")
    nbtrack.set_tracking_uri("")
    assert nbtrack.get_tracking_uri() == str(elsewhere)


def test_clients_of_one_file_share_a_writer(client: Client) -> None:
    assert Client(str(client.path)).workspace is client.workspace
    assert repr(client) == f"Client({str(client.path)!r})"


def test_choosing_an_experiment() -> None:
    nbtrack.set_experiment("mine")
    with nbtrack.start_run(run_name="a"):
        pass
    settings.reset("experiment")
    with nbtrack.start_run(run_name="b"):
        pass
    assert nbtrack.get_run("a").info.experiment_name == "mine"
    assert nbtrack.get_run("b").info.experiment_name == "Default"
    assert nbtrack.runs(["mine"])["name"].tolist() == ["a"]
    with pytest.raises(InvalidParameterError, match="'  ' is no name for an experiment"):
        nbtrack.set_experiment("  ")


def test_searching_for_what_is_not_there() -> None:
    with nbtrack.start_run(run_name="a"):
        pass
    with pytest.raises(NotFoundError, match="There is no experiment 'other'") as caught:
        nbtrack.runs(["other"])
    assert caught.value.hint == "There is: Default."
    with pytest.raises(InvalidParameterError, match="max_results is 0; it must be 1 or more"):
        nbtrack.search_runs(max_results=0)


def test_reading_an_absent_database() -> None:
    assert nbtrack.runs().empty
    assert nbtrack.search_runs().empty
    with pytest.raises(NotFoundError, match="There is no database"):
        nbtrack.get_run("a")
    with pytest.raises(NotFoundError, match="There is no database"):
        nbtrack.runs(["Default"])
    assert not Path(nbtrack.get_tracking_uri()).exists()


def test_history(client: Client) -> None:
    with nbtrack.start_run(run_name="a") as run:
        for step in (2, 0, 1):
            run.log_metric("m", step * 1.0, step, timestamp=step)
    history = client.get_metric_history("a", "m")
    assert [(m.step, m.value, m.timestamp) for m in history] == [
        (0, 0.0, 0),
        (1, 1.0, 1),
        (2, 2.0, 2),
    ]
    assert client.get_metric_history("a", "unknown") == []
    (series,) = client.metric_series(["a"], "m", max_points=4)
    assert series.values.tolist() == [0.0, 1.0, 2.0]
    assert [x.name for x in client.search_experiments()] == ["Default"]


# -- names


def test_names_take_no_random_numbers_of_the_user() -> None:
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    with nbtrack.start_run():
        nbtrack.log_metric("m", 1)
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index, union-attr]


def test_a_seed_does_not_repeat_names_or_ids() -> None:
    made = []
    for _ in range(2):
        random.seed(7)
        made.append((new_id(), [new_name() for _ in range(5)]))
    assert made[0][0] != made[1][0]
    assert made[0][1] != made[1][1]


def test_form_of_names() -> None:
    assert re.fullmatch(r"[a-z]+-[a-z]+-\d{1,3}", new_name())
    assert re.fullmatch(r"[0-9a-f]{32}", new_id())
