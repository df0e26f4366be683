"""The database, read by SQL."""

from __future__ import annotations

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
    frame = open_client().sql(query)
    if options().as_json:
        if not frame.columns.is_unique:
            raise InvalidParameterError(
                f"Two columns of {query!r} have the same name.", hint="Name them by AS."
            )
        click.echo(frame.to_json(orient="records", indent=1))
        return
    rows = [
        ["–" if value is None else str(value) for value in row] for row in frame.values.tolist()
    ]
    answer(None, *table(rows, [str(name) for name in frame.columns]))
