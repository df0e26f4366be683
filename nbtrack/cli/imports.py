"""Runs of other trackers and tools, brought in."""

from __future__ import annotations

from dataclasses import asdict

import click

from nbtrack.cli.base import Command, answer, open_client, progress
from nbtrack.cli.completion import complete_experiment
from nbtrack.cli.transfer import fail_for, report_lines


@click.command("import", cls=Command)
@click.argument("source", required=False)
@click.option(
    "--backend-store-uri",
    metavar="URI",
    help="The source, as a server of MLflow is given it: sqlite:///mlflow.db or a folder.",
)
@click.option(
    "--artifacts-destination",
    metavar="DIR",
    help="Where that server kept files; default: mlartifacts beside the source.",
)
@click.option(
    "--format",
    "kind",
    help="mlruns, mlflow.db, tensorboard, csv, csv-runs, csv-history; default: by looking.",
)
@click.option(
    "--experiment",
    metavar="NAME",
    shell_complete=complete_experiment,
    help="The experiment for runs that have none; of MLflow's stores, the only one to bring.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def import_command(
    source: str | None,
    *,
    backend_store_uri: str | None,
    artifacts_destination: str | None,
    kind: str | None,
    experiment: str | None,
    dry_run: bool,
) -> None:
    """Bring all that MLflow or another tool has in SOURCE into this one; again changes nothing.

    SOURCE is a folder mlruns, a file mlflow.db, a folder of TensorBoard's or a CSV file.
    """
    if (source is None) == (backend_store_uri is None):
        raise click.UsageError("Name one source: SOURCE or --backend-store-uri.")
    place = source or backend_store_uri or ""
    client = open_client(make=not dry_run)
    with progress("import", "") as show:
        report = client.import_runs(
            place,
            artifacts_destination=artifacts_destination,
            format=kind,
            experiment_name=experiment,
            dry_run=dry_run,
            progress=show,
        )
    note = " (nothing was written)" if dry_run else ""
    answer(
        {"source": place, "dry_run": dry_run, **asdict(report)},
        *report_lines(f"{place}{note}", report),
    )
    fail_for(report.problems)
