"""The store's contract over REST, against a real MLflow server."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import string
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbtrack.errors import InvalidParameterError
from nbtrack.store import Store
from nbtrack.testing.store_contract import StoreContract, same
from nbtrack.tracking import notices
from nbtrack.tracking.notices import NbtrackWarning
from nbtrack.tracking.server import ServerWorkspace
from nbtrack.types import Dataset, DatasetInput, Metric, ModelInfo, Run, RunQuery, RunStatus
from nbtrack.wire import parse_address

pytestmark = pytest.mark.mlflow

_few = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
_keys = st.text(string.ascii_letters + string.digits + "_-. ", min_size=1, max_size=20).map(
    lambda text: f"k{text}k"
)
_values = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=50
)
_any_texts = st.lists(st.sampled_from("\0\ud83d%'") | st.characters(), max_size=20).map("".join)
_points = st.lists(
    st.tuples(
        st.integers(-(2**40), 2**40),
        st.integers(0, 2**41),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0),
    ),
    min_size=1,
    max_size=30,
)

_KEPT = {"alembic_version", "workspaces", "experiments"}


def empty(database: Path) -> None:
    """Take all out of the database of a server, as if it had just been started."""
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as conn, conn:
        tables = [r[0] for r in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in set(tables) - _KEPT:
            conn.execute(f"DELETE FROM {table}")
        conn.execute("DELETE FROM experiments WHERE experiment_id <> 0")


class TestRestStore(StoreContract):
    """What is written otherwise below is what MLflow's servers do otherwise, and nobody can help.

    Of a metric they tell the last point only, drop exact copies of points and clamp infinities;
    params are final; keys are of few characters; ids are the server's own.
    """

    @pytest.fixture
    def store(self, mlflow_server: str, mlflow_folder: Path) -> Iterator[Store]:
        empty(mlflow_folder / "mlflow.db")
        notices.forget()
        workspace = ServerWorkspace(parse_address(mlflow_server))
        yield workspace.store
        workspace.close()

    def tags(self, run: Run) -> dict[str, str]:
        return {k: v for k, v in run.data.tags.items() if k != "mlflow.runName"}

    # -- runs

    def test_a_run_that_is_resumed_has_no_end(self, store: Store) -> None:
        """A server takes no end away: the old one stays until there is a new one."""
        run_id = self.begin(store)
        store.update_run(run_id, status=RunStatus.FINISHED, end_time=2_000)
        store.update_run(run_id, status=RunStatus.RUNNING)
        info = store.get_run(run_id).info
        assert (info.status, info.end_time) == (RunStatus.RUNNING, 2_000)

    # -- params and tags

    def test_params_and_tags_are_overwritten(self, store: Store) -> None:
        """Params keep their first value, which is told; tags are overwritten."""
        run_id = self.begin(store)
        store.log_params(run_id, {"a": "1", "b": "2"})
        store.get_run(run_id)
        store.log_params(run_id, {"b": "3", "c": "4"})
        store.set_tags(run_id, {"a": "tag"})
        store.set_tags(run_id, {"a": "other tag", "c": ""})
        with pytest.warns(NbtrackWarning, match="Changing param values is not allowed.*'b'"):
            run = store.get_run(run_id)
        assert run.data.params == {"a": "1", "b": "2", "c": "4"}
        assert self.tags(run) == {"a": "other tag", "c": ""}

    def test_params_have_a_history(self, store: Store) -> None:
        """A param has one value, ever."""
        run_id = self.begin(store)
        store.log_params(run_id, {"a": "1"})
        store.log_params(run_id, {"a": "1"})
        assert store.param_history(run_id, "a") == ["1"]
        assert store.param_history(run_id, "unknown") == []
        assert store.param_history("f" * 32, "a") == []

    @_few
    @given(params=st.dictionaries(_keys, _values, max_size=5))
    def test_texts_come_back(self, store: Store, params: dict[str, str]) -> None:
        """Values may be any text, keys not."""
        run_id = self.begin(store, "-".join(params) or "a")
        store.log_params(run_id, params)
        store.set_tags(run_id, params)
        run = store.get_run(run_id)
        assert run.data.params == params
        assert self.tags(run) == params

    @_few
    @given(text=_any_texts)
    def test_no_text_makes_trouble(self, store: Store, text: str) -> None:
        """Nothing gets lost by odd values; odd keys are told."""
        run_id = self.begin(store, f"name{text}", experiment=f"x{text}")
        store.log_params(run_id, {"p": text})
        store.set_tags(run_id, {"t": text})
        store.update_run(run_id, error=text)
        store.log_inputs(run_id, [DatasetInput(Dataset("X", "", "list", {text: text}, {}), text)])
        run = store.get_run(run_id)
        assert len(run.data.params) == len(self.tags(run)) == 1
        assert len(run.inputs.dataset_inputs) == 1
        made = store.get_experiment_by_name(f"x{text}")
        assert made is not None
        found = store.search_runs(RunQuery(experiment_ids=[made.experiment_id]))
        assert run_id in {run.info.run_id for run in found}

    def test_odd_keys_are_told(self, store: Store) -> None:
        run_id = self.begin(store)
        store.log_params(run_id, {"a*b": "1", "good": "2"})
        store.set_tags(run_id, {"a'b": "1"})
        store.log_metric(run_id, "a\0b", 1.0, 0, 0)
        with pytest.warns(NbtrackWarning, match="was left out: a server takes names of"):
            run = store.get_run(run_id)
        assert (run.data.params, self.tags(run), run.data.metrics) == ({"good": "2"}, {}, {})

    # -- metrics

    def test_last_is_the_greatest_step_whatever_the_order(self, store: Store) -> None:
        """Only the last value is told."""
        run_id = self.begin(store)
        for step, value in [(5, 0.5), (-3, 9.0), (10, 0.1), (2, 7.0)]:
            store.log_metrics(run_id, [Metric("loss", value, 0, step)])
        run = store.get_run(run_id)
        assert run.data.metrics == {"loss": 0.1}
        assert run.data.summaries["loss"].last_step == 10

    def test_ties_of_step_and_timestamp_are_settled_by_the_value(self, store: Store) -> None:
        run_id = self.begin(store)
        store.log_metrics(run_id, [Metric("m", 3.0, 7, 1), Metric("m", 1.0, 7, 1)])
        store.log_metrics(run_id, [Metric("m", 2.0, 7, 1), Metric("m", 99.0, 6, 1)])
        assert store.get_run(run_id).data.metrics == {"m": 3.0}

    def test_numbers_that_are_none(self, store: Store) -> None:
        """NaN is kept; the infinities become the largest numbers."""
        run_id = self.begin(store)
        values = [math.nan, math.inf, -math.inf, 1.0]
        store.log_metrics(run_id, [Metric("m", v, 0, i) for i, v in enumerate(values)])
        (series,) = store.metric_series([run_id], ["m"])
        largest = sys.float_info.max
        assert all(map(same, series.values, [math.nan, largest, -largest, 1.0]))

    def test_duplicate_points_are_kept(self, store: Store) -> None:
        """They are dropped, which is why points may be sent again."""
        run_id = self.begin(store)
        store.log_metrics(run_id, [Metric("m", 1.0, 5, 0)] * 3)
        (series,) = store.metric_series([run_id], ["m"])
        assert series.values.tolist() == [1.0]

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
        found = zip(
            series.steps.tolist(), series.timestamps.tolist(), series.values.tolist(), strict=True
        )
        # Copies are dropped; 0.0 and -0.0 are one number to a database.
        assert sorted(found) == sorted(set(points))
        last = max(points)
        assert store.get_run(run_id).data.metrics == {"m": last[2]}

    def test_points_of_models_and_datasets(self, store: Store) -> None:
        """The point itself is kept; whose it is, is told by a logged model that the run made."""
        run_id = self.begin(store)
        store.log_metrics(run_id, [Metric("m", 0.5, 10, 1, dataset_name="X", dataset_digest="1")])
        (series,) = store.metric_series([run_id], ["m"])
        assert series.steps.tolist() == [1]
        assert store.linked_metrics(run_id) == []

    # -- inputs and models

    def test_inputs(self, store: Store) -> None:
        """They come in any order."""
        one, other = self.begin(store), self.begin(store)
        data = Dataset("X", "xxh3:1", "numpy", {"dtype": "float64"}, {"shape": [3, 2]})
        labels = Dataset("y", "", "list", {}, {"shape": [3]})
        store.log_inputs(one, [DatasetInput(labels, "target"), DatasetInput(data, "train")])
        store.log_inputs(one, [DatasetInput(data, "train")])
        store.log_inputs(other, [DatasetInput(data, "eval")])
        found = store.get_run(one).inputs.dataset_inputs
        assert sorted(found, key=lambda item: item.dataset.name) == [
            DatasetInput(data, "train"),
            DatasetInput(labels, "target"),
        ]
        assert store.get_run_detail(other).inputs == (DatasetInput(data, "eval"),)

    def test_inputs_with_source_and_tags(self, store: Store) -> None:
        """The same dataset again changes nothing."""
        run_id = self.begin(store)
        data = Dataset("X", "d", "csv", {"columns": ["a"]}, {"shape": [3]}, "https://host/x.csv")
        store.log_inputs(run_id, [DatasetInput(data, "train", {"a": "1"})])
        store.log_inputs(run_id, [DatasetInput(data, "train", {"b": "2"})])
        (found,) = store.get_run(run_id).inputs.dataset_inputs
        assert found == DatasetInput(data, "train", {"a": "1"})

    def test_models(self, store: Store) -> None:
        """Files make a model: see the tests of the client."""
        run_id = self.begin(store)
        store.log_model(ModelInfo("a" * 32, run_id, "model", "sklearn", "a.B", 12, 34))
        assert store.get_run(run_id).models == ()

    # -- experiments, names, searching

    def test_an_experiment_is_made_with_all_it_has(self, store: Store) -> None:
        """The server says where artifacts are, if nobody else does."""
        found = store.get_experiment(
            store.create_experiment("mine", artifact_location="file:///data", tags={"a": "1"})
        )
        assert (found.name, found.artifact_location) == ("mine", "file:///data")
        assert found.tags == {"a": "1"}
        plain = store.get_experiment(store.create_experiment("other"))
        assert plain.artifact_location.startswith("mlflow-artifacts:/")

    def test_a_run_is_meant_by_id_prefix_or_name(self, store: Store) -> None:
        """Ids are the server's own."""
        run_id = self.begin(store, "brave-otter-1")
        self.begin(store, "other")
        for text in (run_id, run_id[:12], "brave-otter-1"):
            assert store.resolve_run_id(text) == run_id

    def test_more_than_one_run_is_meant(self, store: Store) -> None:
        one = self.begin(store, "twin")
        self.begin(store, "twin")
        with pytest.raises(InvalidParameterError, match="more than one run: twin"):
            store.resolve_run_id("twin")
        assert store.resolve_run_id(one[:12]) == one

    def test_newest_first(self, store: Store) -> None:
        """Begun at the same moment, the smaller id comes first."""
        ids = [self.begin(store, start_time=time) for time in (30, 10, 20, 20)]
        expected = [ids[0], *sorted(ids[2:]), ids[1]]
        for query, part in (
            (RunQuery(), expected),
            (RunQuery(max_results=2), expected[:2]),
            (RunQuery(max_results=2, offset=1), expected[1:3]),
            (RunQuery(offset=9), []),
        ):
            assert [run.info.run_id for run in store.search_runs(query)] == part
            assert store.run_table(query).run_ids == part
