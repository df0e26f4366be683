"""What every store of runs has to do: a class of tests with fixtures that name the store.

Needs pytest and hypothesis. A store is tested by a subclass in a file of its own::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, tmp_path):
            return MyStore(tmp_path)

A store that deviates on purpose overrides the test by name, and says why.
"""

from __future__ import annotations

import math
import struct
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbtrack.errors import AlreadyExistsError, InvalidParameterError, NotFoundError
from nbtrack.store import NewRun, Store
from nbtrack.types import (
    CellExecution,
    Dataset,
    DatasetInput,
    Experiment,
    ExperimentQuery,
    LifecycleStage,
    Metric,
    ModelInfo,
    Run,
    RunQuery,
    RunStatus,
    RunTable,
    ViewType,
)

NAN, INF = math.nan, math.inf
HOSTILE = (
    "%",
    "_",
    "a%",
    "'",
    '"',
    "'; DROP TABLE runs; --",
    "x' OR '1'='1",
    "[a-z]*",
    "😀",
    "\ud83d",
    "nul\0nul",
    "\0",
    "",
    " ",
    "line\nbreak",
    "a" * 10_000,
)

_few = settings(
    max_examples=25,
    deadline=None,
    # The fixture is a store; an example makes a run of its own in it.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)
# A list, because in a text the few odd characters would hardly ever be drawn.
_any_texts = st.lists(st.sampled_from("\0\ud83d%'") | st.characters(), max_size=20).map("".join)
_floats = st.floats(allow_nan=True, allow_infinity=True)
_points = st.lists(
    st.tuples(st.integers(-(2**40), 2**40), st.integers(0, 2**41), _floats), min_size=1, max_size=30
)


@dataclass(frozen=True)
class _AnyRun:
    """What a run of a table has: also nothing, also things that are changed after its end."""

    params: dict[str, str]
    metrics: list[Metric]
    status: RunStatus | None
    late: bool


_keys = st.sampled_from(["a", "b", "c d", "%", "'", '"', "[", "é😀", "a.b/c", "\\"]) | _texts
_runs = st.builds(
    _AnyRun,
    params=st.dictionaries(_keys, _texts, max_size=4),
    metrics=st.lists(
        st.builds(Metric, _keys, _floats, st.integers(0, 9), st.integers(-(2**63), 2**63 - 1)),
        max_size=6,
    ),
    status=st.sampled_from([None, RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED]),
    late=st.booleans(),
)


def same(a: float, b: float) -> bool:
    """Return whether two numbers are equal, or both NaN."""
    return a == b or (math.isnan(a) and math.isnan(b))


class StoreContract:
    """Subclass it, and override the fixture `store`."""

    @pytest.fixture
    def store(self) -> Store:
        """Return an empty store."""
        raise NotImplementedError("override this fixture")

    @pytest.fixture
    def session_id(self) -> str | None:
        """Return the id of a session that the store knows; None: it knows none."""
        return None

    def tags(self, run: Run) -> dict[str, str]:
        """Return the tags of a run without those that the store itself gives to every run."""
        return dict(run.data.tags)

    def begin(
        self,
        store: Store,
        name: str = "a-run",
        *,
        run_id: str | None = None,
        experiment: str = "Default",
        start_time: int = 1_000,
        parent: str | None = None,
        session_id: str | None = None,
        execution_id: str | None = None,
    ) -> str:
        """Begin a run and return its id; a store may give it another one than is asked for."""
        return store.create_run(
            NewRun(
                run_id=run_id or uuid.uuid4().hex,
                run_name=name,
                experiment_name=experiment,
                status=RunStatus.RUNNING,
                start_time=start_time,
                user_id="me",
                session_id=session_id,
                parent_run_id=parent,
                execution_id=execution_id,
            )
        )

    # -- runs

    def test_run_begins_and_ends(self, store: Store) -> None:
        parent = self.begin(store, "outer")
        run_id = self.begin(store, "brave-otter-1", parent=parent)
        info = store.get_run(run_id).info
        assert (info.run_id, info.run_name, info.user_id) == (run_id, "brave-otter-1", "me")
        assert (info.status, info.start_time, info.end_time) == (RunStatus.RUNNING, 1_000, None)
        assert (info.parent_run_id, info.error) == (parent, None)
        assert info.lifecycle_stage is LifecycleStage.ACTIVE
        store.update_run(run_id, status=RunStatus.FAILED, end_time=1_500, error="Traceback ...")
        info = store.get_run(run_id).info
        assert (info.status, info.end_time, info.error) == (
            RunStatus.FAILED,
            1_500,
            "Traceback ...",
        )
        assert info.duration_ms == 500

    def test_update_changes_only_what_is_given(self, store: Store) -> None:
        run_id = self.begin(store, "before")
        store.update_run(run_id, status=RunStatus.FINISHED, end_time=2_000)
        store.update_run(run_id, run_name="after")
        store.update_run(run_id)
        info = store.get_run(run_id).info
        assert (info.run_name, info.status, info.end_time) == ("after", RunStatus.FINISHED, 2_000)

    def test_a_run_that_is_resumed_has_no_end(self, store: Store) -> None:
        run_id = self.begin(store)
        store.update_run(run_id, status=RunStatus.FINISHED, end_time=2_000)
        store.update_run(run_id, status=RunStatus.RUNNING)
        info = store.get_run(run_id).info
        assert (info.status, info.end_time) == (RunStatus.RUNNING, None)

    def test_tags_of_the_beginning(self, store: Store) -> None:
        run_id = store.create_run(
            NewRun(uuid.uuid4().hex, "a", "Default", RunStatus.RUNNING, 1, "me", tags={"a": "1"})
        )
        assert self.tags(store.get_run(run_id)) == {"a": "1"}

    def test_update_of_one_run_leaves_the_others(self, store: Store) -> None:
        one, other = self.begin(store), self.begin(store)
        store.update_run(one, status=RunStatus.KILLED)
        assert store.get_run(other).info.status is RunStatus.RUNNING

    def test_unknown_run_is_not_found(self, store: Store) -> None:
        self.begin(store)
        with pytest.raises(NotFoundError, match=r"f{32}"):
            store.get_run("f" * 32)
        with pytest.raises(NotFoundError, match=r"f{32}"):
            store.get_run_detail("f" * 32)

    # -- params and tags

    def test_params_and_tags_are_overwritten(self, store: Store) -> None:
        run_id = self.begin(store)
        store.log_params(run_id, {"a": "1", "b": "2"})
        store.log_params(run_id, {"b": "3"})
        store.set_tags(run_id, {"a": "tag"})
        store.set_tags(run_id, {"a": "other tag", "c": ""})
        store.log_params(run_id, {})
        run = store.get_run(run_id)
        assert run.data.params == {"a": "1", "b": "3"}
        assert self.tags(run) == {"a": "other tag", "c": ""}

    def test_params_have_a_history(self, store: Store) -> None:
        run_id, other = self.begin(store), self.begin(store)
        store.log_params(run_id, {"a": "1", "b": "x"})
        store.log_params(run_id, {"a": "2"})
        store.log_params(run_id, {"a": "2", "b": "x"})  # the same again is no change
        store.log_params(other, {"a": "9"})
        store.log_params(run_id, {"a": "1"})
        assert store.param_history(run_id, "a") == ["1", "2", "1"]
        assert store.param_history(run_id, "b") == ["x"]
        assert store.param_history(run_id, "unknown") == []
        assert store.param_history("f" * 32, "a") == []
        assert store.get_run(run_id).data.params == {"a": "1", "b": "x"}

    def test_name_and_its_tag_follow_each_other(self, store: Store) -> None:
        run_id = self.begin(store, "first")
        store.update_run(run_id, run_name="second")
        run = store.get_run(run_id)
        assert (run.info.run_name, run.data.tags["mlflow.runName"]) == ("second", "second")
        store.set_tags(run_id, {"mlflow.runName": "third"})
        assert store.get_run(run_id).info.run_name == "third"

    def test_params_and_tags_belong_to_their_run(self, store: Store) -> None:
        one, other = self.begin(store), self.begin(store)
        store.log_params(one, {"a": "1"})
        store.log_params(other, {"a": "2"})
        assert store.get_run(one).data.params == {"a": "1"}
        assert store.get_run(other).data.params == {"a": "2"}

    @_few
    @given(params=st.dictionaries(_texts, _texts, max_size=5))
    def test_texts_come_back(self, store: Store, params: dict[str, str]) -> None:
        run_id = self.begin(store, "".join(params))
        store.log_params(run_id, params)
        store.set_tags(run_id, params)
        run = store.get_run(run_id)
        assert run.data.params == params
        assert run.data.tags == params
        assert run.info.run_name == "".join(params)

    @_few
    @given(text=_any_texts)
    def test_no_text_makes_trouble(self, store: Store, text: str) -> None:
        """Half an emoji and NUL may be stored as something else, but nothing gets lost by them."""
        experiment = f"x{text}"
        run_id = self.begin(store, f"name{text}", experiment=experiment)
        store.log_params(run_id, {f"p{text}": text})
        store.set_tags(run_id, {f"t{text}": text})
        store.log_metrics(run_id, [Metric(f"m{text}", 1.0, 0, 0)])
        store.update_run(run_id, error=text)
        store.log_inputs(run_id, [DatasetInput(Dataset(text, "", "list", {text: text}, {}), text)])
        run = store.get_run(run_id)
        assert len(run.data.params) == len(run.data.tags) == len(run.data.metrics) == 1
        assert "\0" not in "".join([*run.data.params, *run.data.params.values()])
        assert len(store.get_run_detail(run_id).inputs) == 1
        made = store.get_experiment_by_name(experiment)
        assert made is not None
        found = store.search_runs(RunQuery(experiment_ids=[made.experiment_id]))
        assert run_id in {run.info.run_id for run in found}
        assert [len(s.values) for s in store.metric_series([run_id], [f"m{text}"])] == [1]
        assert store.param_history(run_id, f"p{text}") == list(run.data.params.values())

    # -- metrics

    def test_last_is_the_greatest_step_whatever_the_order(self, store: Store) -> None:
        run_id = self.begin(store)
        for step, value in [(5, 0.5), (-3, 9.0), (10, 0.1), (2, 7.0)]:
            store.log_metrics(run_id, [Metric("loss", value, 0, step)])
        run = store.get_run(run_id)
        summary = run.data.summaries["loss"]
        assert run.data.metrics == {"loss": 0.1}
        assert (summary.first, summary.last, summary.last_step) == (9.0, 0.1, 10)
        assert (summary.min, summary.max, summary.count) == (0.1, 9.0, 4)

    def test_ties_of_step_and_timestamp_are_settled_by_the_value(self, store: Store) -> None:
        run_id = self.begin(store)
        store.log_metrics(run_id, [Metric("m", 3.0, 7, 1), Metric("m", 1.0, 7, 1)])
        store.log_metrics(run_id, [Metric("m", 2.0, 7, 1), Metric("m", 99.0, 6, 1)])
        summary = store.get_run(run_id).data.summaries["m"]
        assert (summary.first, summary.last) == (99.0, 3.0)

    def test_numbers_that_are_none(self, store: Store) -> None:
        run_id = self.begin(store)
        store.log_metrics(run_id, [Metric("m", v, 0, i) for i, v in enumerate([NAN, INF, -INF, 1])])
        store.log_metrics(run_id, [Metric("only nan", NAN, 0, 0), Metric("only nan", NAN, 0, 1)])
        store.log_metrics(run_id, [Metric("ends in nan", 1.0, 0, 0)])
        store.log_metrics(run_id, [Metric("ends in nan", NAN, 0, 1)])
        data = store.get_run(run_id).data
        assert (data.summaries["m"].min, data.summaries["m"].max) == (-INF, INF)
        assert math.isnan(data.summaries["m"].first)
        only = data.summaries["only nan"]
        assert all(map(math.isnan, (only.first, only.last, only.min, only.max)))
        assert only.count == 2
        assert math.isnan(data.metrics["ends in nan"])
        assert data.summaries["ends in nan"].max == 1.0
        (series,) = store.metric_series([run_id], ["m"])
        assert all(map(same, series.values, [NAN, INF, -INF, 1.0]))

    def test_duplicate_points_are_kept(self, store: Store) -> None:
        run_id = self.begin(store)
        store.log_metrics(run_id, [Metric("m", 1.0, 5, 0)] * 3)
        assert store.get_run(run_id).data.summaries["m"].count == 3
        (series,) = store.metric_series([run_id], ["m"])
        assert series.values.tolist() == [1.0] * 3
        assert (series.steps.tolist(), series.timestamps.tolist()) == ([0] * 3, [5] * 3)

    @_few
    @given(points=_points, cut=st.integers(0, 30))
    def test_points_and_summary_agree(
        self, store: Store, points: Sequence[tuple[int, int, float]], cut: int
    ) -> None:
        run_id = self.begin(store)
        metrics = [Metric("m", value, timestamp, step) for step, timestamp, value in points]
        store.log_metrics(run_id, metrics[:cut])
        store.log_metrics(run_id, metrics[cut:])
        (series,) = store.metric_series([run_id], ["m"])
        summary = store.get_run(run_id).data.summaries["m"]
        places = list(zip(series.steps.tolist(), series.timestamps.tolist(), strict=True))
        assert places == sorted((step, timestamp) for step, timestamp, _ in points)
        # Of points of one place, those come first that were logged first.
        in_order = [value for *_, value in sorted(points, key=lambda point: point[:2])]
        assert list(map(repr, series.values.tolist())) == list(map(repr, in_order))
        assert summary.count == len(points)
        assert (summary.last_step, summary.last_timestamp) == places[-1]
        numbers = [value for *_, value in points if not math.isnan(value)] or [NAN]
        assert same(summary.min, min(numbers))
        assert same(summary.max, max(numbers))

    def test_series_come_in_the_order_asked_for(self, store: Store) -> None:
        one, other, none = (self.begin(store) for _ in range(3))
        for run_id, value in [(one, 1.0), (other, 2.0)]:
            store.log_metrics(run_id, [Metric("m", value, 0, 0)])
        store.log_metric(one, "n", 3.0, 0, 0)
        series = store.metric_series([other, none, one, "f" * 32], ["n", "m"])
        assert [(s.run_id, s.key, s.values.tolist()) for s in series] == [
            (other, "m", [2.0]),
            (one, "n", [3.0]),
            (one, "m", [1.0]),
        ]
        assert store.metric_series([one], ["unknown"]) == []
        assert store.metric_series([one], []) == []
        assert store.metric_series([], ["m"]) == []

    def test_long_series_keep_their_peaks(self, store: Store) -> None:
        run_id = self.begin(store)
        values = [math.sin(i / 50) for i in range(3_000)]
        values[1_234], values[2_345] = 50.0, -50.0
        store.log_metrics(run_id, [Metric("m", v, 0, i) for i, v in enumerate(values)])
        (short,) = store.metric_series([run_id], ["m"], max_points=100)
        assert len(short.values) <= 102
        assert {50.0, -50.0} <= set(short.values.tolist())
        assert (short.steps[0], short.steps[-1]) == (0, 2_999)
        assert short.steps.tolist() == sorted(short.steps.tolist())
        (whole,) = store.metric_series([run_id], ["m"], max_points=3_000)
        assert whole.values.tolist() == values

    def test_a_point_logged_alone_is_one_among_others(self, store: Store) -> None:
        run_id = self.begin(store)
        store.log_metric(run_id, "m", 1.0, 2, 10)
        store.log_metrics(run_id, [Metric("m", 2.0, 11, 3)])
        store.log_metric(run_id, "m", 3.0, -(2**63), 2**63 - 1)
        (series,) = store.metric_series([run_id], ["m"])
        assert series.steps.tolist() == [-(2**63), 2, 3]
        assert series.timestamps.tolist() == [2**63 - 1, 10, 11]
        assert series.values.tolist() == [3.0, 1.0, 2.0]

    @pytest.mark.parametrize(
        "point", [(1.0, 2**63, 0), (1.0, 0, 2**63), (1.0, 0.5, 0), ("1", 0, 0), (None, 0, 0)]
    )
    def test_a_point_that_is_none_is_refused_at_once(
        self, store: Store, point: tuple[float, int, int]
    ) -> None:
        run_id = self.begin(store)
        store.log_metric(run_id, "m", 1.0, 0, 0)
        with pytest.raises(struct.error):
            store.log_metric(run_id, "m", *point)
        store.log_metric(run_id, "m", 2.0, 1, 0)
        (series,) = store.metric_series([run_id], ["m"])
        assert series.values.tolist() == [1.0, 2.0]

    def test_points_of_models_and_datasets(self, store: Store) -> None:
        one, other = self.begin(store), self.begin(store)
        linked = Metric("m", 0.5, 10, 1, "a-model", "X", "xxh3:1", one)
        only_model = Metric("m", NAN, 11, 2, model_id="a-model", run_id=one)
        store.log_metrics(one, [linked, Metric("m", 0.25, 12, 3), only_model])
        found = store.linked_metrics(one)
        assert found[0] == linked
        assert repr(found[1]) == repr(only_model)
        assert len(found) == 2
        (series,) = store.metric_series([one], ["m"])
        assert series.steps.tolist() == [1, 2, 3]
        assert store.linked_metrics(other) == []

    # -- inputs, models, cells

    def test_inputs(self, store: Store) -> None:
        one, other = self.begin(store), self.begin(store)
        data = Dataset("X", "xxh3:1", "numpy", {"dtype": "float64"}, {"shape": [3, 2]})
        labels = Dataset("y", "", "list", {}, {"shape": [3]})
        store.log_inputs(one, [DatasetInput(labels, "target"), DatasetInput(data, "train")])
        store.log_inputs(one, [DatasetInput(data, "train")])
        store.log_inputs(other, [DatasetInput(data, "eval")])
        assert store.get_run_detail(one).inputs == (
            DatasetInput(data, "train"),
            DatasetInput(labels, "target"),
        )
        assert store.get_run_detail(other).inputs == (DatasetInput(data, "eval"),)
        assert store.get_run(one).inputs.dataset_inputs == store.get_run_detail(one).inputs

    def test_inputs_with_source_and_tags(self, store: Store) -> None:
        run_id = self.begin(store)
        data = Dataset("X", "d", "csv", {"columns": ["a"]}, {"shape": [3]}, "https://host/x.csv")
        store.log_inputs(run_id, [DatasetInput(data, "train", {"a": "1"})])
        store.log_inputs(run_id, [DatasetInput(data, "train", {"b": "2"})])
        (found,) = store.get_run(run_id).inputs.dataset_inputs
        assert found == DatasetInput(data, "train", {"b": "2"})

    def test_models(self, store: Store) -> None:
        run_id = self.begin(store)
        model = ModelInfo(uuid.uuid4().hex, run_id, "model", "sklearn", "a.B", 12, 34)
        store.log_model(model)
        assert store.get_run(run_id).models == (model,)
        again = ModelInfo(uuid.uuid4().hex, run_id, "model", "sklearn", "a.C", 13, 35)
        store.log_model(again)
        assert store.get_run(run_id).models == (again,)

    def test_cells(self, store: Store, session_id: str | None) -> None:
        if session_id is None:
            pytest.skip("this store knows no sessions")
        cell = CellExecution("e1", 7, "cell-id", "fit()", 100)
        store.begin_cell(session_id, cell, "sha256:1")
        run_id = self.begin(store, session_id=session_id, execution_id="e1")
        assert store.get_run_detail(run_id).cell == cell
        store.end_cell("e1", 150, "ok")
        found = store.get_run_detail(run_id).cell
        assert found == CellExecution("e1", 7, "cell-id", "fit()", 100, 150, "ok")
        assert store.get_run(run_id).execution_count == 7
        # The same source again is another execution of it.
        store.begin_cell(session_id, CellExecution("e2", 8, None, "fit()", 200), "sha256:1")
        second = self.begin(store, session_id=session_id, execution_id="e2")
        again = store.get_run_detail(second).cell
        assert again is not None
        assert (again.execution_count, again.source) == (8, "fit()")
        assert store.get_run_detail(self.begin(store)).cell is None

    # -- experiments

    def named(self, store: Store, name: str) -> Experiment:
        """Return the experiment of a name, which is there."""
        found = store.get_experiment_by_name(name)
        assert found is not None
        return found

    def test_experiments_are_made_by_their_first_run(self, store: Store) -> None:
        self.begin(store)
        assert store.get_experiment_by_name("mine") is None
        one = self.begin(store, experiment="mine")
        other = self.begin(store, experiment="mine")
        found = self.named(store, "mine")
        assert found.name == "mine"
        assert store.get_experiment(found.experiment_id) == found
        ids = {store.get_run(run).info.experiment_id for run in (one, other)}
        assert ids == {found.experiment_id}
        assert store.get_run(one).info.experiment_name == "mine"
        names = [x.name for x in store.search_experiments()]
        assert names.count("mine") == 1

    def test_an_experiment_is_made_with_all_it_has(self, store: Store) -> None:
        made = store.create_experiment("mine", artifact_location="/data", tags={"a": "1"})
        found = store.get_experiment(made)
        assert (found.experiment_id, found.name) == (made, "mine")
        assert (found.artifact_location, found.tags) == ("/data", {"a": "1"})
        assert found.lifecycle_stage is LifecycleStage.ACTIVE
        assert found.creation_time == found.last_update_time > 0
        plain = store.get_experiment(store.create_experiment("other"))
        assert (plain.artifact_location, plain.tags) == ("", {})
        run_id = self.begin(store, experiment="mine")
        assert store.get_run(run_id).info.experiment_id == made

    def test_a_run_names_its_experiment_by_id(self, store: Store) -> None:
        made = store.create_experiment("mine")
        run_id = store.create_run(
            NewRun(uuid.uuid4().hex, "a", "ignored", RunStatus.RUNNING, 1, "me", experiment_id=made)
        )
        info = store.get_run(run_id).info
        assert (info.experiment_id, info.experiment_name) == (made, "mine")
        assert store.get_experiment_by_name("ignored") is None

    def test_a_name_is_taken_once(self, store: Store) -> None:
        made = store.create_experiment("mine")
        other = store.create_experiment("other")
        for act in (
            lambda: store.create_experiment("mine"),
            lambda: store.rename_experiment(other, "mine"),
        ):
            with pytest.raises(AlreadyExistsError, match=r"Experiment\(name=mine\) already exists"):
                act()
        store.set_experiment_stage(made, LifecycleStage.DELETED)
        with pytest.raises(AlreadyExistsError, match="already exists in deleted state") as caught:
            store.create_experiment("mine")
        assert "Restore it" in (caught.value.hint or "")
        store.rename_experiment(other, "other")  # its own name is no other's

    def test_an_experiment_is_renamed(self, store: Store) -> None:
        made = store.create_experiment("before")
        run_id = self.begin(store, experiment="before")
        store.rename_experiment(made, "after")
        assert store.get_experiment(made).name == "after"
        assert store.get_experiment_by_name("before") is None
        assert store.get_run(run_id).info.experiment_name == "after"

    @pytest.mark.parametrize("text", ["999999", "nine", "", "-1", "0x1", "1 OR 1", "٣", "9" * 30])
    def test_an_experiment_that_is_not_there(self, store: Store, text: str) -> None:
        self.begin(store)
        for act in (
            lambda: store.get_experiment(text),
            lambda: store.rename_experiment(text, "x"),
            lambda: store.set_experiment_stage(text, LifecycleStage.DELETED),
            lambda: store.set_experiment_tags(text, {"a": "1"}),
            lambda: store.delete_experiment_tag(text, "a"),
        ):
            with pytest.raises((NotFoundError, InvalidParameterError)) as caught:
                act()
            assert isinstance(caught.value, NotFoundError) == (text == "999999")
            assert text in caught.value.message

    def test_tags_of_an_experiment(self, store: Store) -> None:
        made = store.create_experiment("mine", tags={"a": "1"})
        store.set_experiment_tags(made, {"a": "2", "b": "3"})
        assert store.get_experiment(made).tags == {"a": "2", "b": "3"}
        store.delete_experiment_tag(made, "a")
        assert store.get_experiment(made).tags == {"b": "3"}
        with pytest.raises(NotFoundError, match="has no tag 'a'"):
            store.delete_experiment_tag(made, "a")
        assert self.named(store, "Default").tags == {}

    def test_experiments_are_searched(self, store: Store) -> None:
        ids = [store.create_experiment(name) for name in ("a", "b", "c")]
        store.set_experiment_stage(ids[1], LifecycleStage.DELETED)

        def found(**query: object) -> list[str]:
            return [
                x.name
                for x in store.search_experiments(ExperimentQuery(**query))  # type: ignore[arg-type]
                if x.name != "Default"
            ]

        assert found() == ["c", "a"]
        assert found(view_type=ViewType.DELETED_ONLY) == ["b"]
        assert found(view_type=ViewType.ALL) == ["c", "b", "a"]
        assert found(max_results=1) == ["c"]
        assert found(max_results=1, offset=1) == ["a"]
        assert [x.name for x in store.search_experiments() if x.name != "Default"] == ["c", "a"]

    # -- the trash

    def test_an_experiment_takes_its_runs_into_the_trash_and_out(self, store: Store) -> None:
        made = store.create_experiment("mine")
        run_id, other = self.begin(store, experiment="mine"), self.begin(store)
        store.set_experiment_stage(made, LifecycleStage.DELETED)
        assert store.get_experiment(made).lifecycle_stage is LifecycleStage.DELETED
        assert self.named(store, "mine").experiment_id == made
        assert store.get_run(run_id).info.lifecycle_stage is LifecycleStage.DELETED
        assert [run.info.run_id for run in store.search_runs(RunQuery())] == [other]
        with pytest.raises(NotFoundError, match="is deleted already"):
            store.set_experiment_stage(made, LifecycleStage.DELETED)
        store.set_experiment_stage(made, LifecycleStage.ACTIVE)
        assert store.get_experiment(made).lifecycle_stage is LifecycleStage.ACTIVE
        assert store.get_run(run_id).info.lifecycle_stage is LifecycleStage.ACTIVE
        with pytest.raises(NotFoundError, match="is active already"):
            store.set_experiment_stage(made, LifecycleStage.ACTIVE)

    def test_a_run_goes_into_the_trash_and_out(self, store: Store) -> None:
        run_id, other = self.begin(store, "mine"), self.begin(store)
        for _ in range(2):  # again is harmless
            store.set_run_stage(run_id, LifecycleStage.DELETED)
        assert store.get_run(run_id).info.lifecycle_stage is LifecycleStage.DELETED
        assert store.resolve_run_id(run_id) == run_id
        for text in ("mine", run_id[:12]):
            with pytest.raises(NotFoundError):
                store.resolve_run_id(text)

        def found(view_type: ViewType) -> set[str]:
            ids = {run.info.run_id for run in store.search_runs(RunQuery(view_type=view_type))}
            assert ids == set(store.run_table(RunQuery(view_type=view_type)).run_ids)
            return ids

        assert found(ViewType.ACTIVE_ONLY) == {other}
        assert found(ViewType.DELETED_ONLY) == {run_id}
        assert found(ViewType.ALL) == {run_id, other}
        store.set_run_stage(run_id, LifecycleStage.ACTIVE)
        assert found(ViewType.ACTIVE_ONLY) == {run_id, other}
        with pytest.raises(NotFoundError, match=r"f{32}"):
            store.set_run_stage("f" * 32, LifecycleStage.DELETED)

    def test_a_tag_is_taken_off_a_run(self, store: Store) -> None:
        run_id = self.begin(store)
        store.set_tags(run_id, {"a": "1", "b": "2"})
        store.delete_tag(run_id, "a")
        assert self.tags(store.get_run(run_id)) == {"b": "2"}
        with pytest.raises(NotFoundError, match="No tag with name: a"):
            store.delete_tag(run_id, "a")
        with pytest.raises(NotFoundError, match=r"f{32}"):
            store.delete_tag("f" * 32, "a")

    # -- names

    def test_a_run_is_meant_by_id_prefix_or_name(self, store: Store) -> None:
        run_id = self.begin(store, "brave-otter-1", run_id="abcd" + "0" * 28)
        self.begin(store, "other", run_id="abce" + "0" * 28)
        for text in (run_id, "abcd", "abcd0000", "brave-otter-1"):
            assert store.resolve_run_id(text) == run_id

    @pytest.mark.parametrize("text", ["abc", "abcf", "ABCD", "brave-otter", *HOSTILE])
    def test_a_text_that_means_no_run(self, store: Store, text: str) -> None:
        self.begin(store, "brave-otter-1", run_id="abcd" + "0" * 28)
        self.begin(store, "other", run_id="abce" + "0" * 28)
        with pytest.raises(NotFoundError, match="There is no run") as caught:
            store.resolve_run_id(text)
        assert caught.value.hint is not None
        assert len(store.search_runs(RunQuery())) == 2

    @pytest.mark.parametrize("name", [text for text in HOSTILE if text])
    def test_a_hostile_name_means_its_run(self, store: Store, name: str) -> None:
        run_id = self.begin(store, name)
        self.begin(store, "other")
        assert store.resolve_run_id(name) == run_id

    def test_more_than_one_run_is_meant(self, store: Store) -> None:
        one = self.begin(store, "twin", run_id="abcd1" + "0" * 27)
        self.begin(store, "twin", run_id="abcd2" + "0" * 27)
        for text in ("twin", "abcd"):
            with pytest.raises(InvalidParameterError, match=r"more than one run: twin \(abcd"):
                store.resolve_run_id(text)
        assert store.resolve_run_id("abcd1") == one

    def test_a_full_id_wins_over_a_name(self, store: Store) -> None:
        run_id = self.begin(store)
        self.begin(store, run_id)
        assert store.resolve_run_id(run_id) == run_id

    # -- searching

    def test_newest_first(self, store: Store) -> None:
        times = [30, 10, 20, 20]
        ids = [self.begin(store, start_time=time) for time in times]
        found = [run.info.run_id for run in store.search_runs(RunQuery())]
        assert found[0] == ids[0]
        assert found[-1] == ids[1]
        assert found[1:3] == [ids[3], ids[2]]  # begun at the same moment: the later one first
        for query, part in (
            (RunQuery(max_results=2), found[:2]),
            (RunQuery(max_results=2, offset=1), found[1:3]),
            (RunQuery(offset=9), []),
        ):
            assert [run.info.run_id for run in store.search_runs(query)] == part
            assert store.run_table(query).run_ids == part

    def test_chosen_runs(self, store: Store) -> None:
        a = self.begin(store, experiment="a", start_time=1)
        b = self.begin(store, experiment="b'%", start_time=2)
        self.begin(store, experiment="c", start_time=3)
        in_a, in_b = (self.named(store, name).experiment_id for name in ("a", "b'%"))

        def found(**query: Sequence[str]) -> list[str]:
            chosen = RunQuery(**query)  # type: ignore[arg-type]
            ids = [run.info.run_id for run in store.search_runs(chosen)]
            assert store.run_table(chosen).run_ids == ids
            return ids

        assert found(experiment_ids=[in_a, in_b]) == [b, a]
        assert found(experiment_ids=[]) == []
        assert found(experiment_ids=["999999"]) == []
        assert found(run_ids=[a]) == [a]
        assert found(run_ids=[]) == []
        assert found(run_ids=[a, b], experiment_ids=[in_a]) == [a]
        assert found(run_ids=["f" * 32]) == []
        assert found(run_ids=list(HOSTILE)) == []

    def test_searched_runs_carry_their_data(self, store: Store) -> None:
        one, other = self.begin(store, start_time=1), self.begin(store, start_time=2)
        store.log_params(one, {"a": "1"})
        store.log_metrics(other, [Metric("m", 0.5, 0, 0)])
        found = {run.info.run_id: run for run in store.search_runs(RunQuery())}
        assert found[one] == store.get_run(one)
        assert found[other] == store.get_run(other)
        assert (found[one].data.params, found[one].data.metrics) == ({"a": "1"}, {})
        assert (found[other].data.params, found[other].data.metrics) == ({}, {"m": 0.5})

    # -- tables

    @settings(
        max_examples=12,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(runs=st.lists(_runs, max_size=6))
    def test_a_table_says_what_runs_say(self, store: Store, runs: Sequence[_AnyRun]) -> None:
        experiment = store.create_experiment(uuid.uuid4().hex)
        name = store.get_experiment(experiment).name
        query = RunQuery(experiment_ids=[experiment])
        ids = []
        for run in runs:
            run_id = self.begin(store, experiment=name)
            ids.append(run_id)
            store.log_params(run_id, run.params)
            store.set_tags(run_id, run.params)
            store.log_metrics(run_id, run.metrics)
            if run.status is not None:
                store.update_run(run_id, status=run.status, end_time=2_000)
        # Twice: runs that ended may be kept in another form from the second reading on.
        for _ in range(2):
            self.compare(store.run_table(query), store.search_runs(query))
        # What is changed after the end is in the table, too.
        for run_id, run in zip(ids, runs, strict=True):
            if run.late:
                store.log_params(run_id, {"late": "p"})
                store.set_tags(run_id, {"late": "t"})
                store.log_metric(run_id, "late", 1.0, 0, 0)
                self.compare(store.run_table(query), store.search_runs(query))
                store.delete_tag(run_id, "late")
        self.compare(store.run_table(query), store.search_runs(query))

    def compare(self, table: RunTable, runs: Sequence[Run]) -> None:
        """Assert that a table has exactly what runs have."""
        assert table.run_ids == [run.info.run_id for run in runs]
        for column, cells in table.info.items():
            if column in {"execution_count", "notebook"}:
                assert cells == [getattr(run, column) for run in runs]
            else:
                assert cells == [getattr(run.info, column) for run in runs], column
        assert {"run_name", "experiment_id", "status", "start_time", "end_time"} <= set(table.info)
        for columns, kind in ((table.params, "params"), (table.tags, "tags")):
            data = [getattr(run.data, kind) for run in runs]
            assert set(columns) == {key for texts in data for key in texts}
            for key, texts in columns.items():
                assert texts == [of_run.get(key) for of_run in data]
        assert set(table.metrics) == {key for run in runs for key in run.data.summaries}
        for key, lasts in table.metrics.items():
            for i, run in enumerate(runs):
                assert same(float(lasts[i]), run.data.metrics.get(key, NAN))

    # -- guarantees

    def test_what_was_handed_over_may_change_afterwards(self, store: Store) -> None:
        run_id = self.begin(store)
        params, metrics = {"a": "1"}, [Metric("m", 1.0, 0, 0)]
        store.log_params(run_id, params)
        store.log_metrics(run_id, metrics)
        params["a"] = "changed"
        metrics.clear()
        data = store.get_run(run_id).data
        assert (data.params, data.metrics) == ({"a": "1"}, {"m": 1.0})

    def test_a_record_for_no_run_spoils_nothing_else(self, store: Store) -> None:
        run_id = self.begin(store)
        store.log_params("f" * 32, {"a": "1"})
        store.log_metrics("f" * 32, [Metric("m", 1.0, 0, 0)])
        store.log_params(run_id, {"a": "2"})
        assert store.get_run(run_id).data.params == {"a": "2"}
        assert [run.info.run_id for run in store.search_runs(RunQuery())] == [run_id]

    def test_threads_lose_nothing(self, store: Store) -> None:
        run_id = self.begin(store)
        threads, points = 4, 200

        def work(number: int) -> None:
            for step in range(points):
                store.log_metrics(run_id, [Metric(f"m{number}", float(step), 0, step)])
            store.get_run(run_id)

        workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for number in range(threads):
            (series,) = store.metric_series([run_id], [f"m{number}"])
            assert series.values.tolist() == [float(step) for step in range(points)]
