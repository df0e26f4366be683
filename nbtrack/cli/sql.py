"""The database, read by SQL."""

from __future__ import annotations

from typing import Any

import click

from nbtrack.cli.base import Command, answer, open_client, options, table
from nbtrack.errors import InvalidParameterError


def _show_views(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from nbtrack.store.views import describe_views

        click.echo(describe_views())
        ctx.exit()


@click.command("sql", cls=Command)
@click.argument("query")
@click.option(
    "--views",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_views,
    help="Print the views and their columns.",
)
def run_sql(query: str) -> None:
    """Print what a SELECT gives: QUERY reads the views runs, params, metrics ..."""
    from nbtrack.store.views import query as read

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
