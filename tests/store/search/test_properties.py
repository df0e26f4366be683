"""Random searches of random runs find what a plain reading of the rules finds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbtrack.store.search import RUNS, parse_filter, parse_order
from nbtrack.store.search.tree import (
    AGGREGATES,
    And,
    Comparison,
    Entity,
    Field,
    Node,
    Not,
    Or,
    OrderTerm,
)

KEYS = ["acc", "x", "x.min", "x.last", "a b", "größe", "it's", 'q"q', "`", "min", "a.b", "日本"]
TEXTS = ["", "a", "A", "ab", "aß", "Aẞ", "é", "É", "it's", '"', "%", "_", "[a]*?", "a\nb", "日本"]
PATTERNS = ["%", "_", "a%", "%B", "_b", "%é", "AS%", "[a]%", "%*?", "a_b", "ß", "%ß%", "__%", ""]
REGEXES = ["^a", "b$", ".", "[A-Z]", "a|é", "(?i)ß", "", r"\*\?"]
NUMBERS = [0.0, -1.0, 0.5, 1.0, 2.0, 1e308, 9007199254740992.0, math.inf, -math.inf]
TIMES = [0, 1, 2, 1000]

ORDERED = ["=", "!=", "<", "<=", ">", ">="]


# ------------------------------------------------------------------ random searches


def fields() -> st.SearchStrategy[tuple[Field, str]]:
    """Return fields with what they are compared with: ``number``, ``time`` or ``text``."""
    keys = st.sampled_from(KEYS)
    bare = st.sampled_from([key for key in KEYS if re.fullmatch(r"[\w.]+", key)])
    aggregates = st.sampled_from(AGGREGATES)
    numbers = (
        st.builds(Field, st.just(Entity.METRIC), keys)
        | st.builds(Field, st.just(Entity.METRIC), keys, aggregates)
        | st.builds(Field, st.just(Entity.METRIC), bare, aggregates, st.just(True))
    )
    attributes = ["run_name", "status", "run_id", "user_id", "experiment_name", "artifact_uri"]
    nullable = ["parent_run_id", "notebook"]
    texts = (
        st.builds(Field, st.sampled_from([Entity.PARAM, Entity.TAG]), keys)
        | st.builds(Field, st.just(Entity.ATTRIBUTE), st.sampled_from(attributes + nullable))
        | st.builds(Field, st.just(Entity.DATASET), st.sampled_from(["name", "digest", "context"]))
    )
    times = st.builds(
        Field,
        st.just(Entity.ATTRIBUTE),
        st.sampled_from(["start_time", "end_time", "duration_ms"]),
    )
    return (
        st.tuples(numbers, st.just("number"))
        | st.tuples(texts, st.just("text"))
        | st.tuples(times, st.just("time"))
    )


NULLABLE = {"end_time", "duration_ms", "parent_run_id", "notebook"}


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    field, kind = draw(fields())
    values = st.sampled_from({"number": NUMBERS, "text": TEXTS, "time": TIMES}[kind])
    operators = ["=", "!=", "IN", "NOT IN"]
    if kind == "text":
        operators += [n + o for n in ("", "NOT ") for o in ("LIKE", "ILIKE", "RLIKE")]
    else:
        operators += [*ORDERED, "BETWEEN", "NOT BETWEEN"]
    if field.entity is not Entity.ATTRIBUTE or field.key in NULLABLE:
        operators += ["IS NULL", "IS NOT NULL"]
    operator = draw(st.sampled_from(operators))
    match operator.removeprefix("NOT "):
        case "IN":
            value: Any = tuple(draw(st.lists(values, min_size=1, max_size=3)))
        case "BETWEEN":
            value = (draw(values), draw(values))
        case "LIKE" | "ILIKE":
            value = draw(st.sampled_from(PATTERNS))
        case "RLIKE":
            value = draw(st.sampled_from(REGEXES))
        case "IS NULL" | "IS NOT NULL":
            value = None
        case _:
            value = draw(values)
    return Comparison(field, operator, value)


def several(kind: type[And] | type[Or]) -> Callable[[list[Node]], Node]:
    def build(parts: list[Node]) -> Node:
        flat: list[Node] = []
        for part in parts:
            flat += part.parts if isinstance(part, kind) else (part,)
        return kind(tuple(flat))

    return build


nodes = st.recursive(
    comparisons(),
    lambda inner: (
        st.builds(Not, inner)
        | st.lists(inner, min_size=2, max_size=3).map(several(And))
        | st.lists(inner, min_size=2, max_size=3).map(several(Or))
    ),
    max_leaves=6,
)
orders = st.lists(
    st.builds(lambda pair, descending: OrderTerm(pair[0], descending), fields(), st.booleans()),
    max_size=3,
    unique_by=lambda term: term.field,
)


def cases(case: Callable[..., Any]) -> st.SearchStrategy[list[Any]]:
    keys = st.sampled_from(KEYS)
    points = st.lists(st.sampled_from([*NUMBERS, math.nan]), min_size=1, max_size=3)
    texts = st.dictionaries(keys, st.sampled_from(TEXTS), max_size=4)
    dataset = st.tuples(
        st.sampled_from(TEXTS), st.sampled_from(["d1", "a"]), st.sampled_from(["train", "a"])
    )
    return st.lists(
        st.builds(
            case,
            st.sampled_from(TEXTS),
            st.dictionaries(keys, points, max_size=4),
            texts,
            texts,
            st.lists(dataset, max_size=2, unique=True).map(tuple),
            st.sampled_from(["FINISHED", "a"]),
            st.sampled_from(TIMES),
            st.none() | st.sampled_from(TIMES),
            st.sampled_from(TEXTS),
            parent_run_id=st.none() | st.sampled_from(TEXTS),
            notebook=st.none() | st.sampled_from(TEXTS),
        ),
        max_size=6,
    )


# ------------------------------------------------------------------ a plain reading


def values_of(field: Field, number: int, case: Any) -> list[Any]:
    """Return what a run has of a field: nothing, one value, or those of its datasets."""
    if field.entity is Entity.METRIC:
        if field.literal_first and f"{field.key}.{field.aggregate}" in case.metrics:
            return [case.metrics[f"{field.key}.{field.aggregate}"][-1]]
        points = case.metrics.get(field.key)
        if points is None:
            return []
        numbers = [p for p in points if not math.isnan(p)] or [math.nan]
        return [
            {
                None: points[-1],
                "last": points[-1],
                "first": points[0],
                "min": min(numbers),
                "max": max(numbers),
                "count": len(points),
            }[field.aggregate]
        ]
    if field.entity is Entity.DATASET:
        at = ["name", "digest", "context"].index(field.key)
        return [dataset[at] for dataset in case.datasets]
    if field.entity is Entity.ATTRIBUTE:
        end = case.end_time
        value = {
            "run_id": f"{number:032x}",
            "run_name": case.name,
            "experiment_name": "Default",
            "artifact_uri": f"runs:/{number:032x}",
            "duration_ms": None if end is None else end - case.start_time,
        }.get(field.key, getattr(case, field.key, None))
        return [] if value is None else [value]
    pairs = case.params if field.entity is Entity.PARAM else case.tags
    return [pairs[field.key]] if field.key in pairs else []


def like(pattern: str, text: str, fold: Callable[[str], str]) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(like(pattern[1:], text[i:], fold) for i in range(len(text) + 1))
    fits = bool(text) and (pattern[0] == "_" or fold(pattern[0]) == fold(text[0]))
    return fits and like(pattern[1:], text[1:], fold)


TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "IN": lambda a, b: any(a == v for v in b),
    "NOT IN": lambda a, b: all(a != v for v in b),
    "BETWEEN": lambda a, b: b[0] <= a <= b[1],
    "NOT BETWEEN": lambda a, b: a < b[0] or a > b[1],
    "LIKE": lambda a, b: like(b, a, str),
    "NOT LIKE": lambda a, b: not like(b, a, str),
    "ILIKE": lambda a, b: like(b, a, str.lower),
    "NOT ILIKE": lambda a, b: not like(b, a, str.lower),
    "RLIKE": lambda a, b: re.search(b, a) is not None,
    "NOT RLIKE": lambda a, b: re.search(b, a) is None,
}


def passes(node: Node, number: int, case: Any) -> bool:
    if isinstance(node, Not):
        return not passes(node.part, number, case)
    if isinstance(node, And):
        return all(passes(part, number, case) for part in node.parts)
    if isinstance(node, Or):
        return any(passes(part, number, case) for part in node.parts)
    values = values_of(node.field, number, case)
    if node.value is None:
        return bool(values) == (node.operator == "IS NOT NULL")
    return any(TESTS[node.operator](value, node.value) for value in values)


def in_order(terms: Sequence[OrderTerm], runs: list[tuple[int, Any]]) -> list[int]:
    runs = sorted(runs, key=lambda run: (-run[1].start_time, -run[0]))
    for term in reversed(terms):
        choose = max if term.descending else min
        numbers, nans, missing = [], [], []
        for run in runs:
            values = values_of(term.field, *run)
            if not values:
                missing.append(run)
            elif choose(values) != choose(values):
                nans.append(run)
            else:
                numbers.append(run)
        numbers.sort(
            key=lambda run: choose(values_of(term.field, *run)),
            reverse=term.descending,
        )
        runs = numbers + nans + missing
    return [number for number, _ in runs]


# ------------------------------------------------------------------ the two agree


@given(node=nodes)
def test_the_text_of_a_tree_is_read_as_the_tree(node: Node) -> None:
    assert parse_filter(str(node), RUNS) == node


@given(terms=orders)
def test_the_text_of_an_order_is_read_as_the_order(terms: list[OrderTerm]) -> None:
    assert parse_order([str(term) for term in terms], RUNS) == tuple(terms)


@given(node=nodes, terms=orders, data=st.data())
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_sql_finds_what_the_rules_say(
    database: Any, case: Callable[..., Any], node: Node, terms: list[OrderTerm], data: st.DataObject
) -> None:
    runs = list(enumerate(data.draw(cases(case)), 1))
    database.clear()
    for number, run in runs:
        database.add(number, run)
    matching = [run for run in runs if passes(node, *run)]
    order = [str(term) for term in terms]
    assert database.numbers(str(node), *order) == in_order(terms, matching)
    assert database.numbers(None, *order) == in_order(terms, runs)


@given(
    operator=st.sampled_from([*ORDERED, "IN", "BETWEEN"]),
    other=nodes,
    descending=st.booleans(),
    data=st.data(),
)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_going_through_the_index_of_a_metric_finds_the_same(
    database: Any,
    case: Callable[..., Any],
    *,
    operator: str,
    other: Node,
    descending: bool,
    data: st.DataObject,
) -> None:
    runs = list(enumerate(data.draw(cases(case)), 1))
    database.clear()
    for number, run in runs:
        database.add(number, run)
    acc = Field(Entity.METRIC, "acc")
    value: Any = (0.5, 1.0) if operator.isalpha() else 0.5
    node = And((Comparison(acc, operator, value), Not(other)))
    terms = [OrderTerm(acc, descending)]
    matching = [run for run in runs if passes(node, *run)]
    assert database.numbers(str(node), str(terms[0])) == in_order(terms, matching)
