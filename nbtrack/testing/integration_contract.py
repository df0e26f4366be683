"""What every integration has to do: a class of tests, and the little code that names a library.

Needs pytest and cloudpickle. A library is tested by a subclass in a file of its own, whose
examples are texts of Python, each of which begins with the names that ``setup`` has made::

    class TestMine(IntegrationContract):
        library = "mine"
        setup = "from mine import Model; X, y = [[0], [1]], [0, 1]"
        fit = "model = Model().fit(X, y); result = model.weights"
        failing = "Model().fit(X, None)"

An example that a library cannot have is left out with a reason: ``missing = {"parallel": "..."}``.
"""

from __future__ import annotations

import inspect
import pickle
import random
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nbtrack import autologging
from nbtrack.autologging import integration
from nbtrack.testing.fakes import FakeRun, FakeTracker

Names = dict[str, Any]
VERBS = (
    "begin_run",
    "active_run",
    "log_params",
    "log_metrics",
    "log_history",
    "log_plot",
    "log_input",
    "log_model",
    "log_state",
    "set_tags",
    "end",
)
_ENABLE = """
from nbtrack import autologging
from nbtrack.testing.fakes import FakeTracker
tracker = FakeTracker()
autologging.enable(tracker)
"""


class IntegrationContract:
    """The tests. Subclasses fill in the examples; their names are in the tests that use them."""

    library: ClassVar[str]
    setup: ClassVar[str]
    """Imports and data."""
    fit: ClassVar[str]
    """One training, which leaves ``model`` and, comparable by its pickle, ``result``."""
    failing: ClassVar[str]
    """A training that raises an error of the library or the user inside of the recorded call."""
    interrupted: ClassVar[str]
    """One that raises KeyboardInterrupt inside of the recorded call."""
    counting: ClassVar[str]
    """One that leaves in ``calls`` how often the user's own code in it was called: once."""
    nested: ClassVar[str]
    """One that is a single parent run, whatever is fitted inside."""
    parallel: ClassVar[str]
    """A source with ``BACKEND`` in it: one training in joblib's threads or processes."""
    curves: ClassVar[str]
    """One that logs a metric at several steps."""
    steps: ClassVar[Mapping[str, list[int]]] = {}
    """The steps of metrics of ``curves``."""
    methods: ClassVar[tuple[str, ...]] = ("fit",)
    """Methods of ``model`` whose signature and documentation are compared."""
    max_extra_ms: ClassVar[float] = 10.0
    """What a training may cost the calling thread, store aside, on a busy machine."""
    missing: ClassVar[Mapping[str, str]] = {}
    """Examples that the library cannot have, and why."""

    def finish(self) -> None:
        """End the runs of an example, for libraries whose training has no end of its own."""

    # -- how examples are played

    def _source(self, example: str) -> str:
        if example in self.missing:
            pytest.skip(self.missing[example])
        return textwrap.dedent(getattr(self, example))

    def _names(self) -> Names:
        names: Names = {"__name__": "__main__"}
        exec(compile(textwrap.dedent(self.setup), "<setup>", "exec"), names)  # noqa: S102
        return names

    def _play(self, source: str, names: Names | None = None) -> Names:
        names = self._names() if names is None else names
        try:
            exec(compile(source, "<example>", "exec"), names)  # noqa: S102 - the subclass's own
        finally:
            self.finish()
        return names

    def _play_seeded(self, source: str) -> Names:
        names = self._names()
        for seed in _seeds():
            seed(7)
        return self._play(source, names)

    @contextmanager
    def _on(self, failing: tuple[str, ...] = ()) -> Iterator[FakeTracker]:
        tracker = FakeTracker(failing)
        autologging.enable(tracker)
        try:
            yield tracker
        finally:
            autologging.disable()

    # -- import and restore

    def test_our_file_does_not_import_the_library(self) -> None:
        row = self._row()
        code = f"""
            import importlib, sys
            importlib.import_module({row.implementation!r})
            from nbtrack import autologging
            from nbtrack.testing.fakes import FakeTracker
            autologging.enable(FakeTracker())
            print({row.package!r} in sys.modules)
        """
        assert _python(textwrap.dedent(code)) == "False"

    def test_enabling_before_and_after_the_import(self) -> None:
        work = f"{textwrap.dedent(self.setup)}\n{self._source('fit')}"
        done = f"{self._done()}print([run.status for run in tracker.runs], tracker.warnings)"
        assert _python(f"{_ENABLE}{work}\n{done}") == "['FINISHED'] []"
        first = textwrap.dedent(self.setup)
        assert _python(f"{first}\n{_ENABLE}{work}\n{done}") == "['FINISHED'] []"

    def _done(self) -> str:
        """Return code for a process of its own that does what `finish` does here."""
        return ""

    def test_disabling_puts_the_very_objects_back(self) -> None:
        self._play(self._source("fit"))
        before = _everything(self._row())
        with self._on() as tracker:
            during = _everything(self._row())
            self._play(self._source("fit"))
            assert tracker.runs
        after = _everything(self._row())
        assert [key for key in before if before[key] != during[key]]
        assert [key for key in before if before[key] != after[key]] == []

    def _row(self) -> integration.Integration:
        (row,) = integration.find([self.library])
        return row

    # -- the training is as it was

    def test_results_arguments_and_random_state(self) -> None:
        source = self._source("fit")

        def look() -> list[bytes]:
            names = self._play_seeded(source)
            data = {key: value for key, value in names.items() if key in {"X", "y", "data"}}
            return [pickle.dumps(value) for value in (names["result"], data, _random_states())]

        off = look()
        with self._on() as tracker:
            assert look() == off
            assert [run.status for run in tracker.runs] == ["FINISHED"]
            assert tracker.warnings == []

    def test_the_users_code_is_called_once(self) -> None:
        with self._on() as tracker:
            assert self._play(self._source("counting"))["calls"] == 1
        assert [run.status for run in tracker.runs] == ["FINISHED"]

    def test_signatures_documentation_and_pickles(self) -> None:
        import cloudpickle

        model = self._play(self._source("fit"))["model"]

        def look() -> list[Any]:
            found: list[Any] = [pickle.dumps(model), cloudpickle.dumps(model)]
            for name in self.methods:
                for owner in (type(model), model):
                    method = getattr(owner, name)
                    found += [inspect.signature(method), inspect.getdoc(method)]
                    found += [method.__name__, method.__qualname__, method.__module__]
            return found

        off = look()
        with self._on():
            assert look() == off
            fitted = self._play(self._source("fit"))["model"]
            assert b"nbtrack" not in cloudpickle.dumps(fitted)

    # -- how a run ends

    def test_an_error_comes_out_as_it_was(self) -> None:
        source = self._source("failing")
        off = _raised(lambda: self._play(source))
        with self._on() as tracker:
            on = _raised(lambda: self._play(source))
        assert (type(on), str(on)) == (type(off), str(off))
        assert (on.__cause__, on.__suppress_context__) == (off.__cause__, off.__suppress_context__)
        (run,) = tracker.runs
        assert run.status == "FAILED"
        assert run.error is not None
        assert str(off).splitlines()[0] in run.error
        assert "nbtrack/autologging" not in run.error

    def test_an_interrupt_kills_the_run(self) -> None:
        with self._on() as tracker:
            try:
                self._play(self._source("interrupted"))
            except KeyboardInterrupt:
                swallowed = False
            else:
                swallowed = True  # the library's own way: the run is killed all the same
        (run,) = tracker.runs
        assert run.status == "KILLED", "swallowed" if swallowed else "raised"
        assert run.params or run.metrics

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_failing_store_never_reaches_the_user(self, verb: str) -> None:
        source = self._source("fit")
        expected = pickle.dumps(self._play_seeded(source)["result"])
        with self._on(failing=(verb,)) as tracker:
            assert pickle.dumps(self._play_seeded(source)["result"]) == expected
        assert all(f"{verb} fails" in warning for warning in tracker.warnings)
        assert len(tracker.runs) == (verb != "begin_run")

    # -- many trainings

    def test_nested_fits_are_one_run(self) -> None:
        with self._on() as tracker:
            self._play(self._source("nested"))
        parents = [run for run in tracker.runs if run.parent is None]
        assert len(parents) == 1, parents
        assert all(run.parent is parents[0] for run in tracker.runs if run is not parents[0])
        assert {run.status for run in tracker.runs} == {"FINISHED"}

    def test_every_thread_has_runs_of_its_own(self) -> None:
        source = self._source("fit")
        if "threads" in self.missing:
            pytest.skip(self.missing["threads"])
        errors: list[BaseException] = []
        together = threading.Barrier(4)

        def work() -> None:
            try:
                self._play(source)
                together.wait(60)  # the number of a thread that has ended is given away again
            except BaseException as error:  # noqa: BLE001 - told below
                errors.append(error)

        with self._on() as tracker:
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert errors == []
        assert [run.status for run in tracker.runs] == ["FINISHED"] * 4
        assert len({run.thread for run in tracker.runs}) == 4

    @pytest.mark.parametrize("backend", ["threading", "loky"])
    def test_work_in_threads_and_processes_is_one_run(self, backend: str) -> None:
        source = self._source("parallel").replace("BACKEND", repr(backend))
        with self._on() as tracker:
            self._play(source)
        assert [run.status for run in tracker.runs if run.parent is None] == ["FINISHED"]

    @pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="needs fork")
    def test_a_forked_child_logs_nothing(self) -> None:
        fit = self._source("fit")
        code = f"""{_ENABLE}
import os
{textwrap.dedent(self.setup)}
{fit}
before = len(tracker.runs)
child = os.fork()
if not child:
{textwrap.indent(fit, "    ")}
    os._exit(len(tracker.runs) - before)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
        assert _python(code) == "0"

    def test_steps_only_grow(self) -> None:
        with self._on() as tracker:
            self._play(self._source("curves"))
        (run,) = (run for run in tracker.runs if run.parent is None)
        assert any(len(points) > 1 for points in run.metrics.values())
        _check_steps(run)
        for key, steps in self.steps.items():
            assert [step for step, _ in run.metrics[key]] == steps, key

    # -- what it costs

    def test_the_cost_is_within_the_budget(self) -> None:
        code, names = compile(self._source("fit"), "<example>", "exec"), self._names()

        def fit() -> float:
            begin = time.thread_time()
            exec(code, names)  # noqa: S102 - the subclass's own
            spent = time.thread_time() - begin
            self.finish()
            return spent

        def extra_ms() -> float:
            off, on = [], []
            for _ in range(15):  # in turns: a machine that slows down slows both
                off.append(fit())
                with self._on():
                    on.append(fit())
            return (statistics.median(on) - statistics.median(off)) * 1e3

        fit()
        # Other work on the machine only ever adds: one measurement within the budget is enough.
        assert any(extra_ms() < self.max_extra_ms for _ in range(5))


def _python(code: str) -> str:
    """Run code in a process of its own and return what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.py")
        script.write_text(code)
        done = subprocess.run(  # noqa: S603 - this very Python
            [sys.executable, script], capture_output=True, text=True, timeout=300, check=False
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def _raised(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:  # noqa: BLE001 - that is what is asked for
        return error
    pytest.fail("The example raises nothing.")


def _check_steps(run: FakeRun) -> None:
    for key, points in run.metrics.items():
        steps = [step for step, _ in points]
        assert steps == sorted(set(steps)), key


def _seeds() -> Iterator[Callable[[int], Any]]:
    yield random.seed
    if numpy := sys.modules.get("numpy"):
        yield numpy.random.seed
    if torch := sys.modules.get("torch"):
        yield torch.manual_seed


def _random_states() -> list[Any]:
    states: list[Any] = [random.getstate()]
    if numpy := sys.modules.get("numpy"):
        states.append(numpy.random.get_state())
    if torch := sys.modules.get("torch"):
        states.append(torch.random.get_rng_state().numpy())
    return states


def _everything(row: integration.Integration) -> dict[Any, Any]:
    """Return all that could be patched in the library's loaded modules, by identity."""
    state: dict[Any, Any] = {"meta_path": [id(finder) for finder in sys.meta_path]}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in {row.package, *row.needs} or module is None:
            continue
        # Not the lazy ones, whose members are made when somebody looks.
        for key, value in list(vars(module).items()):
            state[name, key] = id(value)
            if isinstance(value, type):
                members = vars(value).items()
                # Pickling leaves `__slotnames__` in a class; torch counts its hooks in `next_id`.
                state[name, key, "members"] = [
                    (member, id(v))
                    for member, v in members
                    if member not in {"__slotnames__", "next_id"}
                ]
            elif isinstance(value, types.FunctionType):
                cells = [c for c in value.__closure__ or () if c != types.CellType()]  # empty
                state[name, key, "code"] = id(value.__code__)
                state[name, key, "cells"] = [id(cell.cell_contents) for cell in cells]
    return state
