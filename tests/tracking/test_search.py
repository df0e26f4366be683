"""Filters, orders and views of the search functions."""

from __future__ import annotations

import pytest

import nbtrack
from nbtrack.errors import InvalidParameterError
from nbtrack.tracking import Client


@pytest.fixture(autouse=True)
def _runs(default: Client) -> None:
    for i, model in enumerate(("forest", "svm", "forest")):
        with nbtrack.start_run(run_name=f"r{i}", tags={"n": i}) as run:
            run.log_param("model", model)
            for step in range(3):
                run.log_metric("acc", i + step / 10, step)
    default.delete_run("r2")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["r1", "r0"]),
        ("params.model = 'svm'", ["r1"]),
        ("metrics.acc > 1 OR run_name = 'r0'", ["r1", "r0"]),
        ("metrics.acc.min = 0", ["r0"]),
        ("tags.n = '5'", []),
    ],
)
def test_filters(query: str, names: list[str]) -> None:
    assert nbtrack.runs(filter_string=query)["name"].tolist() == names
    found = nbtrack.search_runs(filter_string=query, output_format="list")
    assert [run.info.run_name for run in found] == names
    assert len(nbtrack.search_runs(filter_string=query)) == len(names)


def test_orders_and_views() -> None:
    search = nbtrack.search_runs
    by_metric = search(order_by=["metrics.acc ASC"], output_format="list")
    assert [run.info.run_name for run in by_metric] == ["r0", "r1"]
    deleted = search(run_view_type=2)
    assert deleted["tags.mlflow.runName"].tolist() == ["r2"]
    assert len(search(run_view_type="ALL", max_results=2)) == 2


@pytest.mark.parametrize("query", ["nonsense", "metrics.acc >", "params.model > 1"])
def test_filters_that_are_none(query: str, default: Client) -> None:
    for search in (nbtrack.search_runs, default.search_runs, nbtrack.search_experiments):
        with pytest.raises(InvalidParameterError):
            search(filter_string=query)  # type: ignore[operator]


def test_experiments_and_names() -> None:
    nbtrack.set_experiment("other")
    assert nbtrack.search_runs().empty
    assert len(nbtrack.search_runs(search_all_experiments=True)) == 2
    assert len(nbtrack.search_runs(experiment_names=["Default", "other"])) == 2
    assert len(nbtrack.runs()) == 2
    names = [x.name for x in nbtrack.search_experiments(filter_string="name = 'other'")]
    assert names == ["other"]
