"""Experiments: listed, put into the trash."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from nbtrack.cli.base import Group, answer, open_client, table

if TYPE_CHECKING:
    from nbtrack.tracking import Client
    from nbtrack.types import Experiment


@click.group(cls=Group)
def experiments() -> None:
    """Look at experiments, and put them into the trash."""


@experiments.command("list")
@click.option(
    "--view",
    type=click.Choice(["active_only", "deleted_only", "all"]),
    default="active_only",
    show_default=True,
    help="Whether those in the trash are meant.",
)
def list_experiments(view: str) -> None:
    """List the experiments, newest first."""
    from nbtrack import htmlview

    found = open_client().search_experiments(view_type=view.upper(), max_results=50_000)
    rows = [
        [e.experiment_id, e.name, str(e.lifecycle_stage), htmlview.format_time(e.creation_time)]
        for e in found
    ]
    answer([asdict(e) for e in found], *table(rows, ["id", "name", "stage", "made"]))


@experiments.command("delete")
@click.argument("experiment")
def delete_experiment(experiment: str) -> None:
    """Put an EXPERIMENT (id or name) and its runs into the trash."""
    client = open_client()
    found = _experiment(client, experiment)
    client.delete_experiment(found.experiment_id)
    answer(
        {"deleted": found.experiment_id}, f"In the trash: {found.name} (id {found.experiment_id})."
    )


@experiments.command("restore")
@click.argument("experiment")
def restore_experiment(experiment: str) -> None:
    """Take an EXPERIMENT (id or name) and its runs out of the trash."""
    client = open_client()
    found = _experiment(client, experiment)
    client.restore_experiment(found.experiment_id)
    answer({"restored": found.experiment_id}, f"Restored: {found.name} (id {found.experiment_id}).")


def _experiment(client: Client, text: str) -> Experiment:
    # A name goes first: an experiment may be called 2.
    return client.get_experiment_by_name(text) or client.get_experiment(text)
