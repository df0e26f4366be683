"""Filters and orders as text: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import contextlib
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.errors import InvalidParameterError
from nbtrack.store.search import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
    parse_filter,
    parse_order,
)
from nbtrack.store.search.tree import And, Comparison, Entity, Field, Not, Or, OrderTerm


def metric(key: str, **more: object) -> Field:
    return Field(Entity.METRIC, key, **more)  # type: ignore[arg-type]


def param(key: str) -> Field:
    return Field(Entity.PARAM, key)


def attribute(key: str) -> Field:
    return Field(Entity.ATTRIBUTE, key)


A = Comparison(param("a"), "=", "1")
B = Comparison(param("b"), "=", "2")
C = Comparison(param("c"), "=", "3")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (None, And()),
        ("", And()),
        (" \n\t", And()),
        ("AND", And()),
        ("params.a = '1'", A),
        ("params.a='1'", A),
        ('param.a == "1"', A),
        ("parameter.`a` = '1'", A),
        ('parameters."a" = \'1\'', A),
        ("`params`.a = '1'", A),
        ("params.a = '1' AND params.b = '2' and params.c = '3'", And((A, B, C))),
        ("and params.a = '1' AND", A),
        ("params.a = '1' OR params.b = '2' AND params.c = '3'", Or((A, And((B, C))))),
        ("(params.a = '1' or params.b = '2') AND params.c = '3'", And((Or((A, B)), C))),
        ("(params.a = '1' AND params.b = '2') AND params.c = '3'", And((A, B, C))),
        ("((params.a = '1'))", A),
        ("NOT params.a = '1' AND params.b = '2'", And((Not(A), B))),
        ("NOT (params.a = '1' AND params.b = '2')", Not(And((A, B)))),
        ("NOT NOT params.a='1'", Not(Not(A))),
        ("params.a != 'it''s'", Comparison(param("a"), "!=", "it's")),
        ('params.a != "it\'s"', Comparison(param("a"), "!=", "it's")),
        ('params.a != "say ""x"""', Comparison(param("a"), "!=", 'say "x"')),
        ("params.`a``b` = '1'", Comparison(param("a`b"), "=", "1")),
        ("params.a = ''", Comparison(param("a"), "=", "")),
        ("params.a like 'x%'", Comparison(param("a"), "LIKE", "x%")),
        ("params.a not ilike 'x%'", Comparison(param("a"), "NOT ILIKE", "x%")),
        ("params.a rlike '^x|y$'", Comparison(param("a"), "RLIKE", "^x|y$")),
        ("params.a in ('x','y')", Comparison(param("a"), "IN", ("x", "y"))),
        ("params.'a b' in ('x',)", Comparison(param("a b"), "IN", ("x",))),
        ("params.a = '1' AND and AND params.b = '2'", And((A, B))),
        ("params.a not in ('x')", Comparison(param("a"), "NOT IN", ("x",))),
        ("params.a is null", Comparison(param("a"), "IS NULL")),
        ("tags.mlflow.runName is not null",
         Comparison(Field(Entity.TAG, "mlflow.runName"), "IS NOT NULL")),
        ("metrics.a >= .5", Comparison(metric("a"), ">=", 0.5)),
        ("metrics.a >= -1e-1", Comparison(metric("a"), ">=", -0.1)),
        ("metrics.a < 1e400", Comparison(metric("a"), "<", math.inf)),
        ("metrics.a < -1e400", Comparison(metric("a"), "<", -math.inf)),
        ("metrics.a = 5.", Comparison(metric("a"), "=", 5.0)),
        ("metrics.a between 1 and 2 and params.a = '1'",
         And((Comparison(metric("a"), "BETWEEN", (1.0, 2.0)), A))),
        ("metrics.a not between 1 and 2", Comparison(metric("a"), "NOT BETWEEN", (1.0, 2.0))),
        ("metrics.a in (1, 2.5)", Comparison(metric("a"), "IN", (1.0, 2.5))),
        ("metrics.a.b.c > 1", Comparison(metric("a.b.c"), ">", 1.0)),
        ("metrics.a.1 > 1", Comparison(metric("a.1"), ">", 1.0)),
        ("metrics.größe > 1", Comparison(metric("größe"), ">", 1.0)),
        ("metrics.min > 1", Comparison(metric("min"), ">", 1.0)),
        ("metrics.x.min > 1", Comparison(metric("x", aggregate="min", literal_first=True), ">", 1)),
        ("metrics.x.min.max > 1",
         Comparison(metric("x.min", aggregate="max", literal_first=True), ">", 1)),
        ("metrics.x.`min` > 1", None),
        ('metrics."x.min" > 1', Comparison(metric("x.min"), ">", 1.0)),
        ('metrics."x".min > 1', Comparison(metric("x", aggregate="min"), ">", 1.0)),
        ('metrics."a b".count = 3', Comparison(metric("a b", aggregate="count"), "=", 3.0)),
        ("params.x.min = '1'", Comparison(param("x.min"), "=", "1")),
        ("params.like = 'and'", Comparison(param("like"), "=", "and")),
        ("status = 'FINISHED'", Comparison(attribute("status"), "=", "FINISHED")),
        ("run.status = 'FINISHED'", Comparison(attribute("status"), "=", "FINISHED")),
        ('"run name" = \'x\'', Comparison(attribute("run_name"), "=", "x")),
        ("attributes.`Run Name` = 'x'", Comparison(attribute("run_name"), "=", "x")),
        ("Created > 5", Comparison(attribute("start_time"), ">", 5)),
        ("start_time > 9223372036854775808",
         Comparison(attribute("start_time"), ">", 9223372036854775808.0)),
        ("start_time > 1.5", Comparison(attribute("start_time"), ">", 1.5)),
        ("duration_ms < 100", Comparison(attribute("duration_ms"), "<", 100)),
        ("end_time IS NULL", Comparison(attribute("end_time"), "IS NULL")),
        ("experiment_id = 7", Comparison(attribute("experiment_id"), "=", "7")),
        ("experiment_id IN ('7', 8)", Comparison(attribute("experiment_id"), "IN", ("7", "8"))),
        ("datasets.name = 'x'", Comparison(Field(Entity.DATASET, "name"), "=", "x")),
    ],
)  # fmt: skip
def test_meaning(text: str | None, tree: object) -> None:
    if tree is None:
        with pytest.raises(InvalidParameterError):
            parse_filter(text, RUNS)
    else:
        assert parse_filter(text, RUNS) == tree


def test_a_whole_number_stays_whole() -> None:
    tree = parse_filter("start_time = 9007199254740993", RUNS)
    assert isinstance(tree, Comparison)
    assert tree.value == 9007199254740993
    assert isinstance(tree.value, int)


@pytest.mark.parametrize(
    ("searched", "text"),
    [
        (EXPERIMENTS, "name ILIKE 'a%' AND tags.team = 'x' AND creation_time > 5"),
        (EXPERIMENTS, "experiment_id IN ('1', '2') AND tag.`a b` IS NULL"),
        (REGISTERED_MODELS, "name LIKE 'a%' AND tags.x = 'y' OR name IN ('a')"),
        (MODEL_VERSIONS, "version_number >= 3 AND version_number = '4' AND run_id IN ('x')"),
        (MODEL_VERSIONS, "source_path LIKE 'runs:/%' AND attribute.name = 'x'"),
        (LOGGED_MODELS, "metrics.a.max > 1 AND params.k = 'v' AND model_type IS NULL"),
        (LOGGED_MODELS, "creation_time > 5 AND status = 'READY' AND source_run_id = 'x'"),
    ],
)
def test_other_kinds(searched: object, text: str) -> None:
    assert isinstance(parse_filter(text, searched), And | Or)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("searched", "text", "message"),
    [
        (EXPERIMENTS, "metrics.a > 1", "experiments have no 'metrics'"),
        (EXPERIMENTS, "run.name = 'a'", "experiments have no 'run'"),
        (EXPERIMENTS, "status = 'a'", "experiments have no attribute 'status'"),
        (REGISTERED_MODELS, "run_id = 'a'", "registered models have no attribute 'run_id'"),
        (MODEL_VERSIONS, "params.a = '1'", "model versions have no 'params'"),
        (MODEL_VERSIONS, "version_number = 'x'", "a number, in quotes or not was expected"),
        (LOGGED_MODELS, "dataset.name = 'x'", "logged models have no 'dataset'"),
    ],
)
def test_other_kinds_have_other_keys(searched: object, text: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        parse_filter(text, searched)  # type: ignore[arg-type]


def pointed(text: str) -> tuple[str, str, str]:
    """Return the sentence, the character that the caret points at, and the hint."""
    with pytest.raises(InvalidParameterError) as caught:
        parse_filter(text, RUNS)
    sentence, line, caret = caught.value.message.split("\n")
    assert caret.strip() == "^"
    assert caught.value.hint
    assert caught.value.hint[0].isupper() or not caught.value.hint[0].isalpha()
    at = caret.index("^")
    return sentence, line[at : at + 1], caught.value.hint


@pytest.mark.parametrize(
    ("text", "sentence", "character", "hint"),
    [
        ("metrics.acc >", "a number was expected, not the end", "", 'metrics."acc" = 1'),
        ("metrics.acc > 'x'", "a number was expected, not 'x'", "'", "For example"),
        ("metrics.acc > '1.5'", "a number was expected", "'", "Leave the quotes out: 1.5"),
        ("metrics.acc = nan", "a number was expected, not nan", "n", "!= lets NaN pass"),
        ("metrics.acc > +1", "a number has no plus sign", "+", "Leave the + out"),
        ("metrics.acc > 1.2.3", "is no number", "1", "Numbers are written"),
        ("metrics.acc > 0x1f", "is no number", "0", "Numbers are written"),
        ("metrics.acc like 'x'", "cannot be compared by LIKE", "l", "BETWEEN"),
        ("params.x > 1", "cannot be compared by >", ">", "params.\"x\" = '1'"),
        ("params.x between 1 and 2", "cannot be compared by BETWEEN", "b", "Params are texts"),
        ("params.x = 1", "a text in quotes was expected, not 1", "1", "params.\"x\" = '1'"),
        ("params.x = abc", "a text in quotes was expected, not abc", "a", "= 'abc'"),
        ("params.x = `abc`", "a text in quotes was expected", "`", "= 'abc'"),
        ("params.x <> 'a'", "an operator was expected, not <>", "<", "written !="),
        ("params.x =< 'a'", "an operator was expected, not =<", "=", "LIKE"),
        ("params.x 'a'", "an operator was expected, not 'a'", "'", "LIKE"),
        ("params.x is 'a'", "NULL was expected, not 'a'", "'", "compared by ="),
        ("params.x not 'a'", "an operator was expected", "'", "LIKE"),
        ("params.x in 'a'", "( was expected", "'", "IN ('a', 'a')"),
        ("params.x in ()", "a text in quotes was expected, not )", ")", "For example"),
        ("params.x in ('a' 'b')", ", or ) was expected, not 'b'", "'", "IN ('a', 'a')"),
        ("params.x in ('a',,)", "a text in quotes was expected, not ,", ",", "For example"),
        ("params.x rlike '('", "no regular expression: missing )", "'", "docs.python.org"),
        ("params. = 'a'", "'.' does not belong to a key", ".", "double quotes"),
        ("params.a b = 'x'", "an operator was expected, not b", "b", "LIKE"),
        ("params.a-b = 'x'", "'-' does not belong to a key", "-", "double quotes"),
        ("params.a/b = 'x'", "'/' does not belong to a key", "/", "double quotes"),
        ("'x' = params.a", "a key was expected, not 'x'", "'", "metrics.<key>"),
        ("1 < metrics.a", "a key was expected, not 1", "1", "metrics.<key>"),
        ("Params.a = 'x'", "runs have no 'Params'", "P", "Do you mean params?"),
        ("stat = 'x'", "runs have no attribute 'stat'", "s", "Do you mean status?"),
        ("acc > 1", "runs have no attribute 'acc'", "a", "metrics.<key>"),
        ("dataset.nam = 'x'", "datasets have no attribute 'nam'", "n", "Do you mean name?"),
        ('metrics."a".mean > 1', "one of min, max, first, last, count", "m", "For example"),
        ('metrics."a".min.x > 1', "one of min, max, first, last, count", "m", "For example"),
        ('params."a".b = \'x\'', "only part of the key is in quotes", '"', "Quote all of the key"),
        ("status is null", "attributes.status is never missing", "i", "end_time"),
        ("params.a = 'x", "the quote ' is not closed", "'", "Close it"),
        ('params."a = 1', "'.' does not belong to a key", ".", "double quotes"),
        ("params.a = 'x'y", "AND or OR was expected, not y", "y", "AND"),
        ("params.a = 'x' params.b = 'y'", "AND or OR was expected, not params.b", "p", "AND"),
        ("params.a = 'x';", "one expression, without ;", ";", "Leave the ; out"),
        ("params.a = 'x' -- c", "'-' has no meaning here", "-", ""),
        ("(params.a = 'x'", "AND, OR or ) was expected, not the end", "", "the ( at 0"),
        ("params.a = 'x')", "this ) has no (", ")", "Leave it out"),
        ("params.a = 'x' OR", "a key was expected, not the end", "", "metrics.<key>"),
        ("OR params.a = 'x'", "runs have no attribute 'OR'", "O", ""),
        ("()", "a key was expected, not )", ")", "metrics.<key>"),
        ("NOT", "a key was expected, not the end", "", "metrics.<key>"),
        ("params.a = 'a\0b'", "U+0000 is no character", "\ufffd", "LIKE"),
        ("params.a = '\ud83d'", "U+D83D is no character", "\ufffd", "LIKE"),
        ("params.\n a = 'x'", "'.' does not belong", ".", "double quotes"),
    ],
)  # fmt: skip
def test_errors_point_at_the_place(text: str, sentence: str, character: str, hint: str) -> None:
    said, at, hinted = pointed(text)
    assert sentence in said
    assert at == character
    assert hint in hinted
    said.encode()  # what is shown can be shown anywhere


def test_a_long_filter_is_shown_around_the_place() -> None:
    text = " AND ".join(["params.a = 'x'"] * 50 + ["params.b = 7"] + ["params.a = 'x'"] * 50)
    with pytest.raises(InvalidParameterError) as caught:
        parse_filter(text, RUNS)
    _, line, caret = caught.value.message.split("\n")
    assert line.strip().startswith("…")
    assert line.endswith("…")
    assert line[caret.index("^")] == "7"
    assert len(line) < 90


def test_the_caret_is_under_wide_characters_too() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        parse_filter("params.k = '日本' = 1", RUNS)
    _, line, caret = caught.value.message.split("\n")
    assert caret.index("^") == line.index("= 1") + 2  # two characters take two columns each


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("params.a = '" + "x" * 1_000_000 + "'", "500,000 is the most"),
        ("(" * 100_000, "nested deeper than 20"),
        ("NOT " * 100_000, "nested deeper than 20"),
        ("(" * 21 + "params.a = '1'" + ")" * 21, "nested deeper than 20"),
        (" AND ".join(["params.a = '1'"] * 501), "more than 500 comparisons"),
        ("metrics.a IN (" + "1," * 30_000 + "1)", "more than 20,000 values"),
        ("params.a LIKE '" + "%a" * 2000 + "'", "2,000 is the most"),
        ("params.a RLIKE '" + "(" * 1500 + "'", "no regular expression"),
        ("params.a RLIKE 'a{99999999999999}'", "no regular expression"),
        ("'" * 99_999, "is not closed"),
        ("`" * 99_999, "is not closed"),
        ("a." * 99_999, "does not belong to a key"),
        ("metrics.a > " + "9" * 5_000 + "x", "is no number"),
    ],
    ids=lambda text: text[:20],
)
def test_limits(text: str, message: str) -> None:
    start = time.perf_counter()
    with pytest.raises(InvalidParameterError, match=message) as caught:
        parse_filter(text, RUNS)
    assert time.perf_counter() - start < 5
    assert len(str(caught.value)) < 600


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match=r"The filter is 3, and must be a text\."):
        parse_filter(3, RUNS)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------- order


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("metrics.acc", OrderTerm(metric("acc"))),
        ("metrics.acc ASC", OrderTerm(metric("acc"))),
        ("metric.acc desc", OrderTerm(metric("acc"), descending=True)),
        ("metrics.`val acc`  Desc", OrderTerm(metric("val acc"), descending=True)),
        ('metrics."val acc".max', OrderTerm(metric("val acc", aggregate="max"))),
        ("metrics.a.min", OrderTerm(metric("a", aggregate="min", literal_first=True))),
        ("`run name` DESC", OrderTerm(attribute("run_name"), descending=True)),
        ("Created", OrderTerm(attribute("start_time"))),
        ("dataset.name", OrderTerm(Field(Entity.DATASET, "name"))),
        ("tags.desc desc", OrderTerm(Field(Entity.TAG, "desc"), descending=True)),
        (" start_time ", OrderTerm(attribute("start_time"))),
    ],
)
def test_order(text: str, term: OrderTerm) -> None:
    assert parse_order([text], RUNS) == (term,)
    assert parse_order(text, RUNS) == (term,)
    assert parse_order([str(term)], RUNS) == (term,)


def test_no_order() -> None:
    assert parse_order(None, RUNS) == parse_order([], RUNS) == ()


@pytest.mark.parametrize(
    ("order_by", "message"),
    [
        ([""], "a key was expected, not the end"),
        (["metrics.a up"], "ASC, DESC or the end was expected, not up"),
        (["metrics.a, params.b"], "ASC, DESC or the end was expected, not ,"),
        (["metrics.a DESC DESC"], "ASC, DESC or the end was expected, not DESC"),
        (["nothing"], "runs have no attribute 'nothing'"),
        (["metrics.a", "metric.`a` DESC"], 'metrics."a" is in it twice'),
        (["start_time", "Created"], "attributes.start_time is in it twice"),
        ([f"metrics.m{i}" for i in range(21)], "has 21 keys, and 20 are the most"),
        ([3], "The order is 3, and must be a text"),
    ],
)
def test_orders_that_are_none(order_by: list[str], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message) as caught:
        parse_order(order_by, RUNS)
    assert caught.value.hint


# ---------------------------------------------------------------------------- properties


@given(
    text=st.lists(
        st.sampled_from(
            ["metrics", "params", ".", " ", "'", '"', "`", "(", ")", "AND", "NOT", "IN", "=", ">",
             "1", "-", "LIKE", "BETWEEN", "IS", "NULL", "a", "min", "\0", "\ud83d", "e", ","]
        )
        | st.characters(),
        max_size=25,
    ).map("".join)
)  # fmt: skip
def test_no_text_breaks_the_parser(text: str) -> None:
    for parse in (parse_filter, parse_order):
        with contextlib.suppress(InvalidParameterError):
            parse(text, RUNS)
