"""From the tree of a filter to SQL with bound values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nbtrack.store.search.fields import EXPERIMENTS, RUNS
from nbtrack.store.search.functions import like_to_glob
from nbtrack.store.search.parser import parse_filter, parse_order
from nbtrack.store.search.tree import And, Comparison, Entity, Field, Node, Not, Or, OrderTerm


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL and the values of its question marks."""

    text: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be found, and in which order: the parts of a SELECT.

    In it a run is ``r`` and its experiment ``x``; of a search for experiments there is ``x`` only.
    The SQL needs the functions of `register` on its connection.
    """

    source: Sql
    where: Sql
    order: Sql

    def query(
        self,
        columns: str,
        *conditions: tuple[str, Sequence[Any]],
        limit: int | None = None,
        offset: int = 0,
    ) -> tuple[str, tuple[Any, ...]]:
        r"""Return a whole SELECT and its arguments.

        Parameters
        ----------
        columns
            What to select, such as ``r.*, x.name``.
        conditions
            What must be true besides the filter: SQL and its arguments.
        limit, offset
            How many rows, after leaving out how many; None is all.

        Examples
        --------
        >>> sql, args = select_experiments("name LIKE 'a%'").query("x.name", limit=5)
        >>> print(sql.replace(" WHERE", "\nWHERE").replace(" ORDER", "\nORDER"))
        SELECT x.name FROM experiments x
        WHERE (x.name GLOB ?)
        ORDER BY x.creation_time DESC, x.experiment_id DESC LIMIT ? OFFSET ?
        >>> args
        ('a*', 5, 0)
        """
        wheres = [self.where, *(Sql(text, tuple(args)) for text, args in conditions)]
        where = " AND ".join(f"({w.text})" for w in wheres)
        sql = f"SELECT {columns} FROM {self.source.text} WHERE {where} ORDER BY {self.order.text}"
        args = [*self.source.args, *(a for w in wheres for a in w.args), *self.order.args]
        if limit is not None or offset:
            sql += " LIMIT ? OFFSET ?"
            args += [-1 if limit is None else limit, offset]
        return sql, tuple(args)

    def count(self, *conditions: tuple[str, Sequence[Any]]) -> tuple[str, tuple[Any, ...]]:
        """Return a SELECT of the number of rows, and its arguments."""
        unordered = Selection(self.source, self.where, Sql("1"))
        return unordered.query("count(*)", *conditions)


def select_runs(filter_text: str | None = None, order_by: Iterable[str] | None = None) -> Selection:
    """Return how to find runs.

    Parameters
    ----------
    filter_text
        MLflow's filter and what nbtrack adds to it: see :mod:`nbtrack.store.search`.
    order_by
        Keys with or without ASC or DESC. Runs without the key come last, those with NaN before
        them; between equals the newest comes first.

    Raises
    ------
    InvalidParameterError
        Filter or order cannot be read.

    Examples
    --------
    >>> sql, args = select_runs("params.model = 'm3'").query("r.run_id", limit=10)
    >>> args
    ('model', 'm3', 10, 0)
    """
    return _select(parse_filter(filter_text, RUNS), parse_order(order_by, RUNS), _RUNS)


def select_experiments(
    filter_text: str | None = None, order_by: Iterable[str] | None = None
) -> Selection:
    """Return how to find experiments: as `select_runs`, newest first by default."""
    terms = parse_order(order_by, EXPERIMENTS)
    return _select(parse_filter(filter_text, EXPERIMENTS), terms, _EXPERIMENTS)


# ------------------------------------------------------------------ where fields are


@dataclass(frozen=True, slots=True)
class _Column:
    """A field in the row itself. ``sort`` is what orders by it, where that is something else."""

    text: str
    nullable: bool = False
    sort: str = ""


@dataclass(frozen=True, slots=True)
class _Rows:
    """A field in rows of another table: none for what is missing.

    ``link`` ties them to the row that is looked at; ``nan`` says that NULL in ``column`` is NaN.
    """

    table: str
    alias: str
    link: Sql
    column: str
    nan: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the fields of what is searched are."""

    source: str
    row: str  # which row it is
    key: str  # what that is called in the tables beside it
    tags: str
    columns: Mapping[str, _Column | _Rows]
    default: Sequence[str]
    ties: Sequence[str]  # what decides between equals in another order


_RUNS = _Layout(
    "runs r JOIN experiments x ON x.experiment_id = r.experiment_id",
    "r.run_no",
    "run_no",
    "tags",
    {
        "run_id": _Column("r.run_id"),
        "run_name": _Column("r.run_name"),
        "status": _Column("r.status"),
        "start_time": _Column("r.start_time"),
        "end_time": _Column("r.end_time", nullable=True),
        "user_id": _Column("r.user_id"),
        "artifact_uri": _Column("'runs:/' || r.run_id", sort="r.run_id"),
        "duration_ms": _Column("(r.end_time - r.start_time)", nullable=True),
        "experiment_id": _Column("CAST(r.experiment_id AS TEXT)", sort="r.experiment_id"),
        "experiment_name": _Column("x.name"),
        "parent_run_id": _Column("r.parent_run_id", nullable=True),
        "notebook": _Rows(
            "sessions",
            "s",
            Sql("s.session_id = r.session_id AND s.notebook IS NOT NULL"),
            "notebook",
        ),
    },
    ("r.start_time DESC", "r.run_no DESC"),
    ("r.start_time DESC", "r.run_no DESC"),
)
_EXPERIMENTS = _Layout(
    "experiments x",
    "x.experiment_id",
    "experiment_id",
    "experiment_tags",
    {
        "name": _Column("x.name"),
        "experiment_id": _Column("CAST(x.experiment_id AS TEXT)", sort="x.experiment_id"),
        "creation_time": _Column("x.creation_time"),
        "last_update_time": _Column("x.last_update_time"),
    },
    ("x.creation_time DESC", "x.experiment_id DESC"),
    ("x.experiment_id DESC",),
)


def _place(field: Field, layout: _Layout, alias: str) -> _Column | _Rows:
    """Return where a field is; ``alias`` is for the rows that are looked at beside."""
    if field.entity is Entity.ATTRIBUTE:
        place = layout.columns[field.key]
        if isinstance(place, _Column):
            return place
        link = place.link.text.replace(f"{place.alias}.", f"{alias}.")
        return _Rows(place.table, alias, Sql(link), place.column)
    if field.entity is Entity.DATASET:
        column = f"{'i' if field.key == 'context' else 'd'}.{field.key}"
        return _Rows(
            f"(SELECT i.run_id AS run_id, {column} AS value"
            " FROM run_inputs i JOIN datasets d ON d.dataset_id = i.dataset_id)",
            alias,
            Sql(f"{alias}.run_id = r.run_id"),
            "value",
            many=True,
        )
    return _keyed(field, layout, alias)


def _keyed(field: Field, layout: _Layout, alias: str) -> _Rows:
    """Return where a param, a tag or a metric is."""
    link = f"{alias}.{layout.key} = {layout.row} AND {alias}.key = ?"
    if field.entity is not Entity.METRIC:
        table = "params" if field.entity is Entity.PARAM else layout.tags
        return _Rows(table, alias, Sql(link, (field.key,)), "value")
    column = field.aggregate or "last"
    return _Rows("metrics", alias, Sql(link, (field.key,)), column, nan=column != "count")


# ------------------------------------------------------------------ conditions


def _condition(node: Node, layout: _Layout, driver: Field | None = None) -> Sql:
    """Return SQL that is 0 or 1, and never NULL: so that NOT means not.

    ``driver`` is a metric whose row is joined as ``o0``.
    """
    if isinstance(node, Comparison):
        return _compare(node, layout, driver)
    if isinstance(node, Not):
        inner = _condition(node.part, layout, driver)
        return Sql(f"NOT ({inner.text})", inner.args)
    if not node.parts:
        return Sql("1")
    parts = []
    for part in node.parts:
        sql = _condition(part, layout, driver)
        parts.append(Sql(f"({sql.text})", sql.args) if isinstance(part, And | Or) else sql)
    return _joined(" OR " if isinstance(node, Or) else " AND ", parts)


def _compare(node: Comparison, layout: _Layout, driver: Field | None) -> Sql:
    if node.field == driver and _is_ordered(node):
        return _test(node, "o0.last")
    place = _place(node.field, layout, "f")
    if isinstance(place, _Column):
        if node.value is None:
            return Sql(f"{place.text} {node.operator}")
        test = _test(node, place.text)
        if place.nullable:
            return Sql(f"({place.text} IS NOT NULL AND {test.text})", test.args)
        return test
    test = Sql("1") if node.value is None else _test(node, f"f.{place.column}", place.nan)
    if place.column == "last" and _is_ordered(node) and driver is None:
        found = _listed(place, test, layout)
    else:
        found = _exists(place, test)
    if node.field.literal_first:
        found = _literal_first(node, layout, found)
    return Sql(f"NOT {found.text}", found.args) if node.operator == "IS NULL" else found


def _is_ordered(node: Comparison) -> bool:
    """Return whether a comparison is one that neither NaN nor a missing value passes."""
    return node.operator in ("=", "<", "<=", ">", ">=", "IN", "BETWEEN", "NOT BETWEEN")


def _exists(rows: _Rows, test: Sql) -> Sql:
    """Return: one of the rows passes, looked up for each row that is found."""
    return Sql(
        f"EXISTS (SELECT 1 FROM {rows.table} {rows.alias} WHERE {rows.link.text} AND {test.text})",
        (*rows.link.args, *test.args),
    )


def _listed(rows: _Rows, test: Sql, layout: _Layout) -> Sql:
    """Return the same as `_exists`, with all that pass listed beforehand.

    For the last values of a metric the list comes from an index. The plus keeps SQLite from going
    through the list instead of through the runs in their order.
    """
    return Sql(
        f"(+{layout.row} IN (SELECT f.{layout.key} FROM {rows.table} f"
        f" WHERE f.key = ? AND {test.text}))",
        (rows.link.args[-1], *test.args),
    )


def _literal_first(node: Comparison, layout: _Layout, found: Sql) -> Sql:
    """Return: a metric of the very name passes, or there is none and the aggregate passes."""
    rows = _keyed(_literal(node.field), layout, "f")
    test = Sql("1") if node.value is None else _test(node, "f.last", nan=True)
    passes, there = _listed(rows, test, layout), _listed(rows, Sql("1"), layout)
    return Sql(
        f"({passes.text} OR ({found.text} AND NOT {there.text}))",
        (*passes.args, *found.args, *there.args),
    )


def _literal(field: Field) -> Field:
    return Field(field.entity, f"{field.key}.{field.aggregate}")


def _test(node: Comparison, column: str, nan: bool = False) -> Sql:  # noqa: PLR0911 - a table
    """Return the comparison of a column whose row is there."""
    operator, value = node.operator, node.value
    values = value if isinstance(value, tuple) else (value,)
    if operator == "NOT IN" and nan:
        return Sql(f"({column} IS NULL OR {column} NOT IN ({_marks(values)}))", values)
    if operator == "!=" and nan:
        return Sql(f"{column} IS NOT ?", values)
    negation = "NOT " if operator.startswith("NOT ") else ""
    match operator.removeprefix("NOT "):
        case "LIKE":
            return Sql(f"{column} {negation}GLOB ?", (like_to_glob(str(value)),))
        case "ILIKE":
            return Sql(f"{negation}ilike(?, {column})", values)
        case "RLIKE":
            return Sql(f"{column} {negation}REGEXP ?", values)
        case "BETWEEN":
            return Sql(f"{column} {operator} ? AND ?", values)
        case "IN":
            return Sql(f"{column} {operator} ({_marks(values)})", values)
        case _:
            return Sql(f"{column} {operator} ?", values)


def _marks(values: tuple[object, ...]) -> str:
    return ", ".join("?" * len(values))


# ------------------------------------------------------------------ order


def _select(node: Node, terms: Sequence[OrderTerm], layout: _Layout) -> Selection:
    driver = _driver(node, terms)
    joins = [Sql(layout.source)]
    order: list[Sql] = []
    for number, term in enumerate(terms):
        if number == 0 and driver:
            rows = _keyed(driver, layout, "o0")
            joins.append(Sql(f"JOIN metrics o0 ON {rows.link.text}", rows.link.args))
            order.append(Sql("o0.last" + " DESC" * term.descending))
        else:
            order += _order_by(term, layout, number, joins)
    said = {piece.text.removesuffix(" DESC") for piece in order}
    for tie in layout.ties if terms else layout.default:
        if tie.removesuffix(" DESC") not in said:
            order.append(Sql(tie))
    if driver:  # what else is looked up for a metric's row needs no row of its run yet
        layout = replace(layout, row=f"o0.{layout.key}")
    where = _condition(node, layout, driver)
    return Selection(_joined(" ", joins), where, _joined(", ", order))


def _driver(node: Node, terms: Sequence[OrderTerm]) -> Field | None:
    """Return the metric whose index can be gone through in order, instead of sorting.

    That is the first key of the order, if the filter lets only runs pass that have a number there.
    """
    if not terms or terms[0].field != Field(Entity.METRIC, terms[0].field.key):
        return None
    parts = node.parts if isinstance(node, And) else (node,)
    for part in parts:
        if isinstance(part, Comparison) and part.field == terms[0].field and _is_ordered(part):
            return part.field
    return None


def _joined(between: str, parts: Sequence[Sql]) -> Sql:
    return Sql(between.join(p.text for p in parts), tuple(a for p in parts for a in p.args))


def _order_by(term: OrderTerm, layout: _Layout, number: int, joins: list[Sql]) -> list[Sql]:
    """Return what orders by a key, and add the joins that it needs."""
    direction = " DESC" * term.descending

    def join(rows: _Rows) -> None:
        joins.append(
            Sql(f"LEFT JOIN {rows.table} {rows.alias} ON {rows.link.text}", rows.link.args)
        )

    place = _place(term.field, layout, f"o{number}")
    if isinstance(place, _Column):
        missing = [Sql(f"{place.text} IS NULL")] if place.nullable else []
        return [*missing, Sql((place.sort or place.text) + direction)]
    if place.many:
        choose = "max" if term.descending else "min"
        one = (
            f"(SELECT {choose}({place.alias}.{place.column}) FROM {place.table} {place.alias}"
            f" WHERE {place.link.text})"
        )
        return [Sql(f"{one}{direction} NULLS LAST", place.link.args)]
    join(place)
    value = f"{place.alias}.{place.column}"
    if not place.nan and not term.field.literal_first:
        return [Sql(f"{value}{direction} NULLS LAST")]
    row = f"{place.alias}.{layout.key}"
    if term.field.literal_first:
        first = f"l{number}"
        join(_keyed(_literal(term.field), layout, first))
        value = f"CASE WHEN {first}.{layout.key} IS NULL THEN {value} ELSE {first}.last END"
        row = f"coalesce({first}.{layout.key}, {row})"
    return [Sql(f"{row} IS NULL"), Sql(f"{value}{direction} NULLS LAST")]
