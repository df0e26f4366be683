"""The database, read by SQL."""

from __future__ import annotations

from typing import Any

import click

from nbtrack.cli.base import Command, answer, open_client, options, table
from nbtrack.errors import InvalidParameterError


@click.command("sql", cls=Command)
@click.argument("query", required=False, metavar="QUERY")
@click.option("--views", is_flag=True, help="Print the views and their columns, and no more.")
def run_sql(query: str | None, views: bool) -> None:
    """Print what a SELECT gives: QUERY reads the views runs, params, metrics ..."""
    from nbtrack.store.views import VIEWS, describe_views
    from nbtrack.store.views import query as read

    if views:
        answer(
            [
                {"name": view.name, "about": view.about, "columns": [x[0] for x in view.columns]}
                for view in VIEWS
            ],
            *describe_views().splitlines(),
        )
        return
    if query is None:
        raise click.UsageError("Missing argument 'QUERY'.")
    client = open_client()
    names, rows = read(client.path, query)  # no DataFrame: pandas takes longer than the query
    if options().as_json and len(set(names)) < len(names):
        raise InvalidParameterError(
            f"Two columns of {query!r} have the same name.", hint="Name them by AS."
        )
    if options().as_json:
        answer([dict(zip(names, map(_plain, row), strict=True)) for row in rows])
    else:
        shown = (["–" if value is None else value for value in row] for row in rows)
        answer(None, *table(shown, names))


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    from nbtrack.datasource import number

    if isinstance(value, bytes):
        return value.hex()
    return number(value) if isinstance(value, float) else value
