"""Tables of MLflow's database, whatever time they are of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nbtrack.transfer.imports.mlflow.words import text
from nbtrack.transfer.imports.sqlite import Database


class Tables:
    """Rows of MLflow's tables, as dicts; what a table of another time does not have is None.

    Parameters
    ----------
    db
        The file.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self.columns = db.tables
        self._indexed: dict[tuple[str, str], str] = {}

    def rows(
        self, table: str, columns: Sequence[str], where: str = "", args: Sequence[Any] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield rows as dicts; what a table of another time does not have is None."""
        if table in self.columns:
            sql = f"SELECT {self.selected(table, columns)} FROM {table} t {where}"
            for row in self._db.rows(sql, args):
                yield dict(zip(columns, row, strict=True))

    def selected(self, table: str, columns: Sequence[str]) -> str:
        """Return what follows SELECT for some columns, of which not all may be there."""
        there = self.columns[table]
        return ", ".join(f"t.{name}" if name in there else "NULL" for name in columns)

    def of(self, table: str, column: str) -> str:
        """Return what follows FROM to find the rows of a table by a column, in their order.

        Tables of old have no index for it: one is made, which goes with the connection.
        """
        if (table, column) not in self._indexed:
            first = "SELECT 1 FROM pragma_index_list(?) l, pragma_index_info(l.name) c"
            first += " WHERE c.seqno = 0 AND c.name = ?"
            if next(self._db.rows(first, (table, column)), None):
                self._indexed[table, column] = f"{table} t WHERE t.{column} = ?"
            else:
                name = f"by_{table}_{column}"
                self._db.run(
                    f"CREATE TEMP TABLE {name} AS SELECT {column} AS owner, rowid AS place"
                    f" FROM {table}"
                )
                self._db.run(f"CREATE INDEX temp.index_{name} ON {name} (owner, place)")
                self._indexed[table, column] = (
                    f"temp.{name} b CROSS JOIN {table} t ON t.rowid = b.place WHERE b.owner = ?"
                )
        return self._indexed[table, column]

    def owned(
        self, table: str, column: str, owner: Any, columns: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table that belong to something, in the order of their coming."""
        if table in self.columns:
            sql = f"SELECT {self.selected(table, columns)} FROM {self.of(table, column)}"
            for row in self._db.rows(f"{sql} ORDER BY t.rowid", (owner,)):
                yield dict(zip(columns, row, strict=True))

    def pairs(
        self, table: str, column: str, owner: Any, names: tuple[str, str] = ("key", "value")
    ) -> dict[str, str]:
        """Return texts by keys that belong to something."""
        rows = self.owned(table, column, owner, names)
        return {text(row[names[0]]): text(row[names[1]]) for row in rows}

    def named(
        self, table: str, model: Mapping[str, Any], columns: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a table that belong to a registered model."""
        where, args = "WHERE t.name = ?", [model["name"]]
        if "workspace" in self.columns.get(table, ()):
            where, args = f"{where} AND t.workspace IS ?", [*args, model["workspace"]]
        rows = self.rows(table, columns, f"{where} ORDER BY t.rowid", args)
        return [tuple(row.values()) for row in rows]
