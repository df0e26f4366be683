"""Registered models."""

from __future__ import annotations

import click

from nbtrack.cli.base import Group, answer, open_client, table


@click.group(cls=Group)
def models() -> None:
    """Look at registered models, and add to them."""


@models.command("list")
def list_models() -> None:
    """List the registered models and their versions."""
    from nbtrack import htmlview
    from nbtrack.datasource import model_json

    found = open_client().search_registered_models()
    rows = [
        [
            version.name,
            str(version.version),
            version.run_name or "",
            htmlview.format_time(version.creation_timestamp),
            version.user_id,
        ]
        for model in found
        for version in model.versions
    ]
    header = ["model", "version", "run", "registered", "by"]
    answer([model_json(model) for model in found], *table(rows, header))


@models.command("register")
@click.argument("run")
@click.argument("name")
def register_model(run: str, name: str) -> None:
    """Make the next version of the registered model NAME from the model of a RUN."""
    version = open_client().register_model(run, name)
    answer(
        {"name": version.name, "version": version.version, "run_id": version.run_id},
        f"Registered {version.name} version {version.version}.",
    )
