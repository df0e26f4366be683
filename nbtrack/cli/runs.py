"""Runs: listed, shown, put into the trash."""

from __future__ import annotations

import click

from nbtrack.cli.base import Group, answer, open_client, table


@click.group(cls=Group)
def runs() -> None:
    """Look at runs, and put them into the trash."""


@runs.command("list")
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--experiment", "experiments", multiple=True, help="Only this one; may be repeated.")
@click.option("--filter", "filter_string", default="", help="Such as 'metrics.acc > 0.9'.")
@click.option(
    "--order-by", "order_by", multiple=True, help="Such as 'metrics.acc DESC'; may be repeated."
)
@click.option("--trash", is_flag=True, help="Those in the trash, with their whole ids.")
def list_runs(
    *,
    count: int,
    experiments: tuple[str, ...],
    filter_string: str,
    order_by: tuple[str, ...],
    trash: bool,
) -> None:
    """List the runs, newest first or in another order."""
    from nbtrack import htmlview
    from nbtrack.datasource import run_json
    from nbtrack.types import ViewType

    found = open_client().search_runs(
        filter_string=filter_string,
        run_view_type=ViewType.DELETED_ONLY if trash else ViewType.ACTIVE_ONLY,
        max_results=count,
        order_by=order_by,
        experiment_names=experiments or None,
    )
    metrics = sorted({key for run in found for key in run.data.metrics})[:4]
    rows = [
        [
            run.info.run_id if trash else run.info.run_id[:8],
            run.info.run_name,
            run.data.tags.get("estimator_name", ""),
            run.info.status,
            htmlview.format_time(run.info.start_time),
            htmlview.format_duration(run.info.duration_ms),
            *(
                htmlview.format_number(run.data.metrics[key]) if key in run.data.metrics else "–"
                for key in metrics
            ),
        ]
        for run in found
    ]
    header = ["id", "name", "estimator", "status", "started", "duration", *metrics]
    answer([run_json(run, []) for run in found], *table(rows, header))


@runs.command("show")
@click.argument("run")
def show_run(run: str) -> None:
    """Print all that is known of a RUN (id, beginning of an id, or name) as JSON."""
    import json

    from nbtrack.datasource import DataSource

    details = DataSource(open_client()).run_details(run)
    answer(details, *json.dumps(details, indent=1).splitlines())


@runs.command("delete")
@click.argument("chosen", metavar="RUN...", nargs=-1, required=True)
def delete_runs(chosen: tuple[str, ...]) -> None:
    """Put runs into the trash: each by id, beginning of an id, or name."""
    client = open_client()
    found = [client.get_run(run).info for run in chosen]  # all of them are there, or none is moved
    for info in found:
        client.delete_run(info.run_id)
    answer(
        {"deleted": [info.run_id for info in found]},
        *(f"In the trash: {info.run_name} ({info.run_id})." for info in found),
    )


@runs.command("restore")
@click.argument("run_ids", metavar="RUN_ID...", nargs=-1, required=True)
def restore_runs(run_ids: tuple[str, ...]) -> None:
    """Take runs out of the trash: each by its full id."""
    client = open_client()
    found = [client.get_run(run).info for run in run_ids]
    for info in found:
        client.restore_run(info.run_id)
    answer(
        {"restored": [info.run_id for info in found]},
        *(f"Restored: {info.run_name} ({info.run_id})." for info in found),
    )
