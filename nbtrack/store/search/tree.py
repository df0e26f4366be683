"""What a filter says, as plain values: the parser makes it, the compiler reads it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

Value = str | int | float


class Entity(StrEnum):
    """What a field belongs to, as the text form writes it."""

    ATTRIBUTE = "attributes"
    METRIC = "metrics"
    PARAM = "params"
    TAG = "tags"
    DATASET = "dataset"


AGGREGATES = ("min", "max", "first", "last", "count")


@dataclass(frozen=True, slots=True)
class Field:
    """Left side of a comparison.

    Parameters
    ----------
    entity, key
        ``metrics`` and ``acc``; an attribute or a key of a dataset has its one true name.
    aggregate
        Which number of a metric's history, one of `AGGREGATES`; None is the last value.
    literal_first
        It was written ``metrics.x.min``, without quotes: for a run that has a metric ``x.min``,
        that one is meant.
    """

    entity: Entity
    key: str
    aggregate: str | None = None
    literal_first: bool = False

    def __str__(self) -> str:
        if self.entity in (Entity.ATTRIBUTE, Entity.DATASET):
            return f"{self.entity}.{self.key}"
        if self.literal_first:
            return f"{self.entity}.{self.key}.{self.aggregate}"
        key = f"{self.entity}.{_quoted(self.key)}"
        return f"{key}.{self.aggregate}" if self.aggregate else key


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field, an operator in capitals, and what it is compared with.

    ``value`` is a tuple for IN and BETWEEN, and None for IS NULL, each with or without NOT.
    """

    field: Field
    operator: str
    value: Value | tuple[Value, ...] | None = None

    def __str__(self) -> str:
        left = f"{self.field} {self.operator}"
        if self.value is None:
            return left
        if not isinstance(self.value, tuple):
            return f"{left} {_literal(self.value)}"
        values = [_literal(value) for value in self.value]
        if self.operator.endswith("BETWEEN"):
            return f"{left} {' AND '.join(values)}"
        return f"{left} ({', '.join(values)})"


@dataclass(frozen=True, slots=True)
class Not:
    """What is true exactly where ``part`` is not, missing keys included."""

    part: Node

    def __str__(self) -> str:
        return f"NOT ({self.part})"


@dataclass(frozen=True, slots=True)
class And:
    """All of the parts; without any, everything."""

    parts: tuple[Node, ...] = ()

    def __str__(self) -> str:
        return " AND ".join(_grouped(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of the parts."""

    parts: tuple[Node, ...]

    def __str__(self) -> str:
        return " OR ".join(_grouped(part) for part in self.parts)


Node = Comparison | Not | And | Or


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One key of an order."""

    field: Field
    descending: bool = False

    def __str__(self) -> str:
        return f"{self.field} {'DESC' if self.descending else 'ASC'}"


def _grouped(part: Node) -> str:
    return f"({part})" if isinstance(part, And | Or) else str(part)


def _quoted(text: str, quote: str = '"') -> str:
    return quote + text.replace(quote, quote * 2) + quote


def _literal(value: Value) -> str:
    if isinstance(value, str):
        return _quoted(value, "'")
    return re.sub("inf", "1e999", repr(value))
