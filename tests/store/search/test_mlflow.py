"""Searches find what MLflow finds: ``mlflow_answers.json``, written by ``record_mlflow.py``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbtrack.errors import InvalidParameterError
from nbtrack.store.search import LOGGED_MODELS, MODEL_VERSIONS, REGISTERED_MODELS, parse_filter

ANSWERS = json.loads(Path(__file__).with_name("mlflow_answers.json").read_text(encoding="utf-8"))

# What MLflow answers otherwise, and why we do not: a list is what we find, a text our error.
OTHERWISE: dict[str, list[str] | str] = {
    # a metric's history can be searched; only b has a metric of the name
    "metrics.loss.min > 0": ["f", "b", "a"],
    # AND may not be left out: two comparisons side by side are a slip
    "metrics.acc > 0.4 metrics.loss > 0": "AND or OR was expected, not metrics.loss",
    # ILIKE is blind to the case of all letters, not of ASCII's alone
    "params.größe ILIKE 'GRÖßE'": ["e"],
    "tags.team ILIKE 'GRÜN'": ["e"],
    # a quote within quotes is written twice
    "tags.two = 'it''s'": [],
    # no key, no list: MLflow finds nothing
    "params. = 'm1'": "'.' does not belong to a key",
    "run_id IN ('{a}' '{b}')": ", or ) was expected",
    "metrics.": "'.' does not belong to a key",
    # the same key twice
    "name | name": "attributes.name is in it twice",
}
# What MLflow refuses and we take.
BEYOND: dict[str, list[str]] = {
    "metrics.acc == 0.5": ["f", "a"],
    "metrics.acc IN (0.5, 0.75)": ["f", "c", "a"],
    "metrics.acc IS NULL": ["e"],
    "metrics.acc IS NOT NULL": ["f", "d", "c", "b", "a"],
    "metrics.acc BETWEEN 0.4 AND 0.6": ["f", "a"],
    "metrics.1 > 0": ["e"],
    '"metrics".acc > 0.4': ["f", "c", "a"],
    "metrics.acc > 0.4 OR metrics.loss > 0": ["f", "c", "b", "a"],
    "NOT metrics.acc > 0.4": ["e", "d", "b"],
    "(metrics.acc > 0.4)": ["f", "c", "a"],
    "params.model == 'm1'": ["a"],
    "params.model NOT LIKE 'm%'": ["f", "d", "c", "b"],
    "params.model RLIKE '^m'": ["a"],
    "params.model IN ('m1', 'M1')": ["b", "a"],
    "params.model NOT IN ('m1')": ["f", "d", "c", "b"],
    "tags.team IN ('red')": ["a"],
    "status IN ('FINISHED', 'FAILED')": ["e", "b", "a"],
    "status NOT IN ('FINISHED')": ["f", "d", "c", "b"],
    "start_time IN (2000, 3000)": ["c", "b"],
    "start_time BETWEEN 2000 AND 3000": ["c", "b"],
    "end_time IS NULL": ["f", "d"],
    "run_name IN ('a', 'b')": ["b", "a"],
    "User = 'ann'": ["c", "a"],
    "experiment_id = '0'": ["f", "e", "d", "c", "b", "a"],
    "dataset.name IS NULL": ["f", "e", "d"],
    "`run name`": ["a", "b", "c", "d", "e", "f"],
    "attributes.`run name`": ["a", "b", "c", "d", "e", "f"],
    "experiment_id": ["f", "e", "d", "c", "b", "a"],
    "dataset.name": ["b", "a", "c", "f", "e", "d"],
    "name like '%a'": ["Alpha beta", "alpha"],
    "name IN ('alpha', 'gamma_1')": ["gamma_1", "alpha"],
    "attributes.name = 'alpha'": ["alpha"],
    "attr.name = 'alpha'": ["alpha"],
    "tags.team IN ('x')": ["alpha"],
    "experiment_id = 1": ["alpha"],
    "experiment_id LIKE '%'": ["gamma_1", "Alpha beta", "alpha", "Default"],
    "name = 'alpha' OR name = 'gamma_1'": ["gamma_1", "alpha"],
    "tags.team": ["Alpha beta", "alpha", "gamma_1", "Default"],
}
# The same for what is only parsed so far.
BEYOND_PARSED = {
    "tags.a IS NULL",
    "tags.a IN ('x')",
    "creation_timestamp > 5",
    "name = 'x' OR tags.a = 'y'",
    "attribute.name = 'x'",
    "metric.acc > 0.5",
    "params.a IS NULL",
    "name = 'x' OR params.a = 'y'",
}
# A key may be known to one kind and not to another, or searched and not sorted by.
ELSEWHERE = {
    "run orders": {"tags.team"},
    "experiment orders": {"experiment_id"},
    "experiment filters": {"experiment_id = '0'"},
}

SEARCHES = [
    pytest.param(kind, answer, id=f"{kind}: {answer['text']}")
    for kind in ("run filters", "run orders", "experiment filters", "experiment orders")
    for answer in ANSWERS[kind]
]
PARSED = {
    "registered models": REGISTERED_MODELS,
    "model versions": MODEL_VERSIONS,
    "logged models": LOGGED_MODELS,
}


@pytest.fixture
def search(database: Any, case: Callable[..., Any]) -> Callable[[str, str], list[str]]:
    """Return what searches a database with the runs and experiments that MLflow had."""
    ids = ANSWERS["ids"]
    for number, (name, run) in enumerate(ANSWERS["runs"].items(), 1):
        metrics, params, tags, datasets, status, start, end, user = run
        tags = tags | {"mlflow.runName": name}
        inputs = tuple(tuple(dataset) for dataset in datasets)
        facts = (metrics, params, tags, inputs, status, start, end, user)
        database.add(number, case(name, *facts, run_id=ids[name]))
    for name, tags in ANSWERS["experiments"].items():
        database.add_experiment(int(ids[name]), name, 10**13 + int(ids[name]), tags)

    def find(kind: str, text: str) -> list[str]:
        found: Callable[..., list[str]]
        found = database.runs if kind.startswith("run") else database.experiments
        if kind.endswith("orders"):
            return found(None, *text.split(" | "))
        return found(re.sub(r"\{([\w ]+)\}", lambda match: ids[match[1]], text))

    return find


@pytest.mark.parametrize(("kind", "answer"), SEARCHES)
def test_search(search: Callable[[str, str], list[str]], kind: str, answer: dict[str, Any]) -> None:
    text = answer["text"]
    expected = OTHERWISE.get(text, answer.get("found"))
    if expected is None and text not in ELSEWHERE.get(kind, ()):
        expected = BEYOND.get(text)
    if isinstance(expected, list):
        assert search(kind, text) == expected
    else:
        with pytest.raises(InvalidParameterError, match=re.escape(expected or "cannot be read")):
            search(kind, text)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        pytest.param(kind, answer, id=f"{kind}: {answer['text']}")
        for kind in PARSED
        for answer in ANSWERS[kind]
    ],
)
def test_parse(kind: str, answer: dict[str, Any]) -> None:
    if "found" in answer or answer["text"] in BEYOND_PARSED:
        parse_filter(answer["text"], PARSED[kind])
    else:
        with pytest.raises(InvalidParameterError):
            parse_filter(answer["text"], PARSED[kind])


def test_the_lists_name_recorded_searches_only() -> None:
    texts = {
        answer["text"] for kind in ANSWERS.values() if isinstance(kind, list) for answer in kind
    }
    assert {*OTHERWISE, *BEYOND, *BEYOND_PARSED} <= texts
    refused = {a["text"] for kind in ANSWERS.values() if isinstance(kind, list) for a in kind
               if "refused" in a}  # fmt: skip
    assert {*BEYOND, *BEYOND_PARSED} <= refused
