"""What searches find in a real database."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from nbtrack.errors import InvalidParameterError
from nbtrack.store.search import Selection, parse_filter, select_experiments, select_runs
from nbtrack.store.search.fields import RUNS

NAN, INF = math.nan, math.inf


@pytest.fixture
def runs(filled: Callable[..., Any], case: Callable[..., Any]) -> Any:
    """Return a database with a few runs, newest first: e, d, c, b, a."""
    database = filled(
        case("a", {"acc": 0.5, "loss": [3, 1, 2]}, {"model": "m1", "lr": "0.1"}, start_time=1),
        case("b", {"acc": NAN, "loss.min": 9, "loss": [5, 4]}, {"model": "M1"}, start_time=2),
        case("c", {"acc": INF}, {"model": "50%_x"}, {"t": "Größe"}, start_time=3),
        case("d", {"acc": 0.75}, {}, {"t": "GRÖSSE"}, (("iris", "d1", "train"),), start_time=4),
        case(
            "e",
            {"twin": -1, "twin.last": 1},
            {"a b": "it's"},
            {},
            (("iris", "d1", "train"), ("wine", "d2", "eval")),
            status="RUNNING",
            start_time=5,
            end_time=None,
            notebook="n.ipynb",
            parent_run_id="p",
        ),
    )
    database.add_experiment(1, "one", 10, {"team": "x"})
    return database


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "edcba"),
        ("metrics.acc > 0.5", "dc"),
        ("metrics.acc >= 0.5", "dca"),
        ("metrics.acc < 1e400", "da"),
        ("metrics.acc = 1e400", "c"),
        ("metrics.acc != 0.5", "dcb"),
        ("NOT metrics.acc != 0.5", "ea"),
        ("NOT metrics.acc > 0.5", "eba"),
        ("metrics.acc IN (0.5, 0.75)", "da"),
        ("metrics.acc NOT IN (0.5, 0.75)", "cb"),
        ("metrics.acc BETWEEN 0.5 AND 0.7", "a"),
        ("metrics.acc NOT BETWEEN 0.5 AND 0.7", "dc"),
        ("metrics.acc IS NULL", "e"),
        ("metrics.acc IS NOT NULL", "dcba"),
        ("metrics.loss.min = 1", "a"),
        ("metrics.loss.min = 9", "b"),
        ('metrics."loss".min >= 1', "ba"),
        ('metrics."loss.min" > 0', "b"),
        ("metrics.loss.min IS NULL", "edc"),
        ("metrics.loss.max = 5", "b"),
        ("metrics.loss.first = 3", "a"),
        ("metrics.loss.last = 2", "a"),
        ("metrics.loss.count >= 2", "ba"),
        ("metrics.twin.last > 0", "e"),
        ("metrics.twin.last IS NULL", "dcba"),
        ("params.model = 'm1'", "a"),
        ("params.model != 'm1'", "cb"),
        ("NOT params.model = 'm1'", "edcb"),
        ("params.model LIKE 'm%'", "a"),
        ("params.model ILIKE 'm%'", "ba"),
        ("params.model NOT LIKE 'm%'", "cb"),
        ("params.model LIKE '%!%_%'", ""),
        ("params.model LIKE '5_\\%_%'", ""),
        ("params.model LIKE '__%x'", "c"),
        ("params.model RLIKE '[0-9]$'", "ba"),
        ("params.model NOT RLIKE '[0-9]$'", "c"),
        ("params.model IN ('m1', 'M1')", "ba"),
        ("params.model NOT IN ('m1')", "cb"),
        ("params.model IS NULL AND metrics.acc > 0", "d"),
        ("params.\"a b\" = 'it''s'", "e"),
        ("tags.t ILIKE 'gröss%'", "d"),
        ("tags.t ILIKE 'GRÖ_E'", "c"),
        ("dataset.name = 'iris'", "ed"),
        ("dataset.name != 'iris'", "e"),
        ("NOT dataset.name = 'iris'", "cba"),
        ("dataset.name = 'iris' AND dataset.context = 'eval'", "e"),
        ("dataset.digest IN ('d2')", "e"),
        ("dataset.name IS NULL", "cba"),
        ("dataset.name IS NOT NULL", "ed"),
        ("status = 'RUNNING'", "e"),
        ("end_time IS NULL", "e"),
        ("end_time > 0", "dcba"),
        ("NOT end_time > 0", "e"),
        ("duration_ms < 1997", "d"),
        ("notebook LIKE 'n%'", "e"),
        ("notebook IS NULL", "dcba"),
        ("notebook != 'x'", "e"),
        ("parent_run_id = 'p'", "e"),
        ("NOT parent_run_id = 'p'", "dcba"),
        ("experiment_id = 0 AND experiment_name = 'Default' AND run_name = 'a'", "a"),
        ("experiment_id != '0'", ""),
        ("artifact_uri LIKE 'runs:/%1'", "a"),
        ("run_id IN ('00000000000000000000000000000003')", "c"),
        ("start_time BETWEEN 2 AND 3", "cb"),
        ("params.model = 'm1' OR tags.t LIKE 'G%' AND NOT metrics.acc = 0.75", "ca"),
    ],
)
def test_filter(runs: Any, text: str, names: str) -> None:
    assert "".join(runs.runs(text)) == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (["metrics.acc"], "adcbe"),
        (["metrics.acc DESC"], "cdabe"),
        (["metrics.loss.min"], "abedc"),
        (["metrics.loss.min DESC"], "baedc"),
        (['metrics."loss".count DESC'], "abedc"),
        (["params.model"], "cbaed"),
        (["params.model DESC"], "abced"),
        (["tags.t"], "dceba"),
        (["end_time"], "dcbae"),
        (["end_time DESC"], "dcbae"),
        (["duration_ms"], "dcbae"),
        (["start_time"], "abcde"),
        (["status DESC", "run_id"], "eabcd"),
        (["dataset.name"], "edcba"),
        (["dataset.name DESC", "run_name"], "edabc"),
        (["notebook", "run_name"], "eabcd"),
        (["experiment_name", "experiment_id", "artifact_uri"], "abcde"),
    ],
)
def test_order(runs: Any, order: list[str], names: str) -> None:
    assert "".join(runs.runs(None, *order)) == names


def test_ties_are_by_start_and_by_who_came_last(
    filled: Callable[..., Any], case: Callable[..., Any]
) -> None:
    database = filled(case("a", start_time=5), case("b", start_time=7), case("c", start_time=5))
    assert database.runs(None, "status") == database.runs() == ["b", "c", "a"]


def test_experiments(database: Any) -> None:
    database.add_experiment(1, "alpha", 10**13, {"team": "x"})
    database.add_experiment(20, "Alpha beta", 10**13, {"team": "y", "a b": "1"})
    assert database.experiments() == ["Alpha beta", "alpha", "Default"]
    assert database.experiments(None, "creation_time DESC") == ["Alpha beta", "alpha", "Default"]
    assert database.experiments("name ILIKE 'alpha%'", "name") == ["Alpha beta", "alpha"]
    assert database.experiments("tags.team = 'x'") == ["alpha"]
    assert database.experiments("tags.team IS NULL") == ["Default"]
    assert database.experiments("NOT tags.`a b` = '1'") == ["alpha", "Default"]
    assert database.experiments("experiment_id IN ('1', '0')") == ["alpha", "Default"]
    assert database.experiments(None, "tags.team DESC") == ["Alpha beta", "alpha", "Default"]
    assert database.experiments(None, "experiment_id") == ["Default", "alpha", "Alpha beta"]


def test_the_whole_statement(runs: Any) -> None:
    selection = select_runs("metrics.acc > 0 AND params.model != 'x'", ["metrics.acc DESC"])
    conditions = [("r.experiment_id IN (?, ?)", [0, 1]), ("r.lifecycle_stage = ?", ["active"])]
    sql, args = selection.query("r.run_name, x.name", *conditions, limit=1, offset=1)
    assert [tuple(row) for row in runs.conn.execute(sql, args)] == [("a", "Default")]
    sql, args = selection.query("r.run_name", offset=1)
    assert [tuple(row) for row in runs.conn.execute(sql, args)] == [("a",)]
    sql, args = selection.count(*conditions)
    assert runs.conn.execute(sql, args).fetchone()[0] == 2


@pytest.mark.parametrize("text", ["params.k = 'x\"; DROP TABLE runs --'", "params.\"'; --\" = '?'"])
def test_values_and_keys_are_bound(runs: Any, text: str) -> None:
    sql, args = select_runs(text, ['tags."x\'; --" DESC']).query("r.run_id")
    assert "--" not in sql
    assert len(args) == sql.count("?") == 3
    assert runs.runs(text, 'tags."x\'; --" DESC') == []


def _widest() -> list[str]:
    deep = "metrics.a > 1"
    for level in range(20):
        joined = ("AND", "OR")[level % 2]
        deep = f"params.p IS NULL {joined} ({deep})"
    negated = "metrics.a > 1"
    for _ in range(10):
        negated = f"NOT (params.p IS NULL AND {negated})"
    return [
        deep,
        negated,
        " AND ".join(f"metrics.m{i}.min IN ({i}, 1)" for i in range(500)),
        " OR ".join(f"params.p{i} = 'x'" for i in range(500)),
        "run_id IN (" + ", ".join(f"'{i}'" for i in range(20_000)) + ")",
        "params.model LIKE '" + "[" * 2_000 + "'",
        "params.model ILIKE '" + "%_" * 1_000 + "'",
    ]


@pytest.mark.parametrize("text", _widest(), ids=lambda text: text[:20])
def test_sqlite_takes_the_largest_that_the_parser_takes(runs: Any, text: str) -> None:
    runs.runs(text, *(f"metrics.m{i}.min" for i in range(20)))


def test_a_search_needs_no_database() -> None:
    assert isinstance(select_runs("metrics.a > 1"), Selection)
    assert isinstance(select_experiments("name = 'a'"), Selection)
    with pytest.raises(InvalidParameterError):
        select_experiments("metrics.a > 1")


def test_patterns_do_not_run_away(filled: Callable[..., Any], case: Callable[..., Any]) -> None:
    database = filled(case("a", {}, {"p": "a" * 6000}))
    assert database.runs("params.p ILIKE '" + "%a" * 900 + "%b'") == []
    assert database.runs("params.p LIKE '" + "%a" * 900 + "%b'") == []
    assert database.runs("params.p ILIKE '" + "%A" * 900 + "%'") == ["a"]


def test_the_text_form_means_the_same(runs: Any) -> None:
    text = "params.a = '1' OR NOT (metrics.x.min > 1 AND tags.`a b` IS NULL)"
    assert parse_filter(str(parse_filter(text, RUNS)), RUNS) == parse_filter(text, RUNS)
