"""From the text of a filter or an order to its tree. Pure.

::

    filter     = AND* [either] AND*
    either     = both (OR both)*
    both       = one (AND+ one)*
    one        = NOT one | '(' either ')' | comparison
    comparison = key ('=' | '==' | '!=' | '<' | '<=' | '>' | '>=') value
               | key [NOT] (LIKE | ILIKE | RLIKE) text
               | key [NOT] IN '(' value (',' value)* [','] ')'
               | key [NOT] BETWEEN value AND value
               | key IS [NOT] NULL
    order      = key [ASC | DESC]
    key        = [entity '.'] name ['.' aggregate]
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from nbtrack.errors import InvalidParameterError
from nbtrack.store.search.fields import OPERATORS, Attribute, Searched, Type
from nbtrack.store.search.functions import compile_regex
from nbtrack.store.search.keys import find_field, key_hint
from nbtrack.store.search.syntax import Kind, Text, Token, shortened
from nbtrack.store.search.tree import (
    And,
    Comparison,
    Entity,
    Field,
    Node,
    Not,
    Or,
    OrderTerm,
    Value,
)

MAX_DEPTH = 20  # of parentheses and NOTs: SQLite's own parser takes about 30
MAX_COMPARISONS = 500
MAX_VALUES = 20_000  # SQLite takes 32,766 in one statement
MAX_PATTERN = 2_000  # characters
MAX_ORDER = 20  # keys; each is a join, and SQLite takes 64

_PATTERNS = ("LIKE", "ILIKE", "RLIKE")
_SYMBOLS = {"=": "=", "==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_INT64 = range(-(2**63), 2**63)


def parse_filter(text: str | None, searched: Searched) -> Node:
    """Return the tree of a filter.

    Parameters
    ----------
    text
        The filter; None, nothing or blanks stand for everything.
    searched
        What is searched: `RUNS`, `EXPERIMENTS` ...

    Raises
    ------
    InvalidParameterError
        It cannot be read; the message points at the place.

    Examples
    --------
    >>> from nbtrack.store.search import RUNS
    >>> print(parse_filter("metrics.acc>.5 and not (run_name like 'a%' or params.k = 'x')", RUNS))
    metrics."acc" > 0.5 AND NOT (attributes.run_name LIKE 'a%' OR params."k" = 'x')
    """
    return _Parser(Text(_checked(text, "filter"), "filter"), searched).filter()


def parse_order(order_by: Iterable[str] | None, searched: Searched) -> tuple[OrderTerm, ...]:
    """Return the keys of an order.

    Parameters
    ----------
    order_by
        ``"key"``, ``"key ASC"`` or ``"key DESC"`` each; a single one may come without a list.
    searched
        What is searched.

    Raises
    ------
    InvalidParameterError
        One cannot be read, is there twice, or there are too many.

    Examples
    --------
    >>> from nbtrack.store.search import RUNS
    >>> [str(term) for term in parse_order(["metrics.loss.min", "`run name` desc"], RUNS)]
    ['metrics.loss.min ASC', 'attributes.run_name DESC']
    """
    items = [order_by] if isinstance(order_by, str) else list(order_by or ())
    if len(items) > MAX_ORDER:
        raise InvalidParameterError(
            f"The order has {len(items)} keys, and {MAX_ORDER} are the most.",
            hint="Leave out the last ones: they decide only between equals.",
        )
    terms: dict[Field, OrderTerm] = {}
    for item in items:
        text = Text(_checked(item, "order"), "order")
        term = _Parser(text, searched).order_term()
        if term.field in terms:
            raise text.problem(
                0, f"{_name(term.field)} is in it twice", "Leave the second one out."
            )
        terms[term.field] = term
    return tuple(terms.values())


def _checked(text: object, name: str) -> str:
    if text is None:
        return ""
    if isinstance(text, str):
        return text
    raise InvalidParameterError(
        f"The {name} is {text!r}, and must be a text.",
        hint="""For example "metrics.acc > 0.9" as filter, "metrics.acc DESC" as order.""",
    )


class _Parser:
    def __init__(self, text: Text, searched: Searched) -> None:
        self.text = text
        self.searched = searched
        self.tokens = text.tokens()
        self.at = 0
        self.depth = 0
        self.comparisons = 0
        self.values = 0

    # ------------------------------------------------------------------ the whole

    def filter(self) -> Node:
        end = self.tokens.pop()
        while self.tokens and self.tokens[-1].word == "AND":
            end = self.tokens.pop()
        self.tokens.append(Token(Kind.END, "", end.position))
        while self._take("AND"):
            pass
        node = And() if self._ended() else self._either()
        if self._now.text == ")":
            raise self.text.problem(self._now.position, "this ) has no (", "Leave it out.")
        self._check_end(
            "AND or OR",
            "Comparisons are joined by AND or OR: metrics.acc > 0.9 AND params.k = '3'.",
        )
        return node

    def order_term(self) -> OrderTerm:
        field, _ = self._field()
        descending = self._take("DESC")
        if not descending:
            self._take("ASC")
        self._check_end(
            "ASC, DESC or the end",
            'Each key is an item of its own: ["metrics.acc DESC", "start_time"].',
        )
        return OrderTerm(field, descending)

    def _either(self) -> Node:
        parts = [self._both()]
        while self._take("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Or(_flat(parts, Or))

    def _both(self) -> Node:
        parts = [self._one()]
        while self._take("AND"):
            while self._take("AND"):  # MLflow takes any number of them
                pass
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else And(_flat(parts, And))

    def _one(self) -> Node:
        opening = self._now
        if not (opening.text == "(" or opening.word == "NOT"):
            return self._comparison()
        self.at += 1
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.text.problem(
                opening.position,
                f"it is nested deeper than {MAX_DEPTH} levels",
                "Many values of one key are shorter with IN ('a', 'b').",
            )
        if opening.text == "(":
            node = self._either()
            if self._now.text != ")":
                raise self._expected("AND, OR or )", f"This is in the ( at {opening.position}.")
            self.at += 1
        else:
            node = Not(self._one())
        self.depth -= 1
        return node

    # ------------------------------------------------------------------ a comparison

    def _comparison(self) -> Comparison:
        self.comparisons += 1
        if self.comparisons > MAX_COMPARISONS:
            raise self.text.problem(
                self._now.position,
                f"it has more than {MAX_COMPARISONS} comparisons",
                "Many values of one key are shorter with IN ('a', 'b').",
            )
        field, attribute = self._field()
        token = self._now
        operator = self._operator(attribute)
        if operator in ("IS NULL", "IS NOT NULL"):
            if not attribute.nullable:
                raise self.text.problem(
                    token.position,
                    f"{_name(field)} is never missing",
                    "IS NULL is for params, tags, metrics, and "
                    + ", ".join(
                        sorted({a.name for a in self.searched.attributes.values() if a.nullable})
                    ),
                )
            return Comparison(field, operator)
        if operator not in _allowed(attribute):
            raise self.text.problem(
                token.position,
                f"{_name(field)} cannot be compared by {operator}",
                self._operator_hint(field, attribute, operator),
            )
        bare = operator.removeprefix("NOT ")
        if bare == "IN":
            return Comparison(field, operator, self._list(field, attribute))
        if bare == "BETWEEN":
            low = self._value(field, attribute)
            if not self._take("AND"):
                raise self._expected("AND", f"For example {_name(field)} BETWEEN 1 AND 2.")
            return Comparison(field, operator, (low, self._value(field, attribute)))
        token = self._now
        value = self._value(field, attribute)
        if bare in _PATTERNS:
            self._check_pattern(bare, str(value), token)
        return Comparison(field, operator, value)

    def _operator(self, attribute: Attribute) -> str:
        token = self._now
        self.at += 1
        if token.kind is Kind.OPERATOR and token.text in _SYMBOLS:
            return _SYMBOLS[token.text]
        if token.word == "IS":
            negated = self._take("NOT")
            if not self._take("NULL"):
                raise self._expected("NULL", "A value is compared by =; IS is for NULL only.")
            return "IS NOT NULL" if negated else "IS NULL"
        negation = ""
        if token.word == "NOT":
            negation, token = "NOT ", self._now
            self.at += 1
        if token.word in (*_PATTERNS, "IN", "BETWEEN"):
            return negation + token.word
        self.at -= 1
        hint = f"Here one may write {', '.join(OPERATORS[attribute.type])}."
        if token.text == "<>":
            hint = "Not equal is written !=."
        raise self._expected("an operator", hint)

    def _operator_hint(self, field: Field, attribute: Attribute, operator: str) -> str:
        if field.entity is Entity.PARAM and operator in _allowed_numbers():
            return (
                "Params are texts, compared by =, !=, IN or LIKE:"
                f" {_name(field)} = '1'. Log a number as a metric."
            )
        return f"Here one may write {', '.join(OPERATORS[attribute.type])}."

    def _check_pattern(self, operator: str, pattern: str, token: Token) -> None:
        if len(pattern) > MAX_PATTERN:
            raise self.text.problem(
                token.position,
                f"the pattern has {len(pattern):,} characters, and {MAX_PATTERN:,} is the most",
                "Look for a part of it: LIKE '%...%'.",
            )
        if operator == "RLIKE":
            try:
                compile_regex(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                raise self.text.problem(
                    token.position,
                    f"the pattern is no regular expression: {error}",
                    "It is one of Python's: https://docs.python.org/3/library/re.html",
                ) from error

    # ------------------------------------------------------------------ values

    def _list(self, field: Field, attribute: Attribute) -> tuple[Value, ...]:
        hint = f"For example {_name(field)} IN ({_example(attribute)}, {_example(attribute)})."
        if self._now.text != "(":
            raise self._expected("(", hint)
        values: list[Value] = []
        while not values or self._now.text == ",":
            self.at += 1
            if values and self._now.text == ")":
                break  # a comma at the end, as str(tuple) writes it
            values.append(self._value(field, attribute))
        if self._now.text != ")":
            raise self._expected(", or )", hint)
        self.at += 1
        return tuple(values)

    def _value(self, field: Field, attribute: Attribute) -> Value:
        token = self._now
        self.values += 1
        if self.values > MAX_VALUES:
            raise self.text.problem(
                token.position,
                f"it has more than {MAX_VALUES:,} values",
                "Search in several steps, or filter the table that a search returns.",
            )
        text = _string(token)
        if attribute.type in (Type.TEXT, Type.ID):
            value: Value | None = text
            if attribute.type is Type.ID and re.fullmatch("[0-9]+", token.text):
                value = token.text
        elif token.kind is Kind.NUMBER:
            value = _number(token.text, field)
        elif attribute.type is Type.VERSION and text and re.fullmatch("[0-9]+", text):
            value = _number(text, field)
        else:
            value = None
        if value is None:
            raise self._expected(attribute.type.value, self._value_hint(field, attribute, token))
        self.at += 1
        return value

    def _value_hint(self, field: Field, attribute: Attribute, token: Token) -> str:
        if attribute.type is Type.TEXT:
            if field.entity is Entity.PARAM and token.kind is Kind.NUMBER:
                return f"Params are texts: {_name(field)} = '{token.text}'."
            shown = token.shown.strip("`") if token.kind is Kind.PATH else "value"
            return f"For example {_name(field)} = '{shown}'."
        if token.word in ("NAN", "NULL", "NONE"):
            return "Only != lets NaN pass; a missing value is found by IS NULL."
        if (text := _string(token)) is not None and re.fullmatch(r"-?[0-9.]+", text):
            return f"Leave the quotes out: {text}."
        return f"For example {_name(field)} = {_example(attribute)}."

    def _field(self) -> tuple[Field, Attribute]:
        token = self._now
        if token.kind is not Kind.PATH or token.parts[0].quote == "'":
            raise self._expected("a key", key_hint(self.searched))
        self.at += 1
        return find_field(token, self.text, self.searched)

    # ------------------------------------------------------------------ tokens

    @property
    def _now(self) -> Token:
        return self.tokens[min(self.at, len(self.tokens) - 1)]

    def _ended(self) -> bool:
        return self._now.kind is Kind.END

    def _check_end(self, what: str, hint: str) -> None:
        if not self._ended():
            raise self._expected(what, hint)

    def _take(self, word: str) -> bool:
        taken = self._now.word == word
        self.at += taken
        return taken

    def _expected(self, what: str, hint: str) -> InvalidParameterError:
        token = self._now
        return self.text.problem(token.position, f"{what} was expected, not {token.shown}", hint)


def _flat(parts: Iterable[Node], kind: type[And] | type[Or]) -> tuple[Node, ...]:
    """Return parts with those of the same kind within them opened: (a AND b) AND c is one AND."""
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, kind) else (part,)
    return tuple(flat)


def _allowed(attribute: Attribute) -> tuple[str, ...]:
    operators = OPERATORS[attribute.type]
    return (*operators, *(f"NOT {op}" for op in operators if op.isalpha()))


def _allowed_numbers() -> tuple[str, ...]:
    return ("<", "<=", ">", ">=", "BETWEEN", "NOT BETWEEN")


def _name(field: Field) -> str:
    return shortened(str(field))


def _string(token: Token) -> str | None:
    if len(token.parts) == 1 and token.parts[0].quote in ("'", '"'):
        return token.parts[0].text
    return None


def _number(text: str, field: Field) -> int | float:
    is_whole = re.fullmatch(r"-?[0-9]{1,19}", text)
    if is_whole and int(text) in _INT64 and field.entity is not Entity.METRIC:
        return int(text)
    return float(text)


def _example(attribute: Attribute) -> str:
    return "'a'" if attribute.type in (Type.TEXT, Type.ID) else "1"
