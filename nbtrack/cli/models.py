"""Registered models: listed, shown, registered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from nbtrack.cli.base import Group, answer, open_client, table
from nbtrack.cli.completion import complete_model, complete_run
from nbtrack.errors import NotFoundError

if TYPE_CHECKING:
    from nbtrack.tracking import Client
    from nbtrack.types import ModelVersion, RegisteredModel

_NONE = "No model is registered yet: nbtrack models register RUN NAME does so."


@click.group(cls=Group)
def models() -> None:
    """Look at registered models, and add to them."""


@models.command("list")
def list_models() -> None:
    """List the registered models and their versions."""
    from nbtrack.datasource import model_json
    from nbtrack.htmlview import format_time

    found = open_client().search_registered_models()
    rows = [
        [
            version.name,
            str(version.version),
            version.run_name or "",
            format_time(version.creation_timestamp),
            version.user_id,
        ]
        for model in found
        for version in model.versions
    ]
    header = ["model", "version", "run", "registered", "by"]
    answer([model_json(model) for model in found], *table(rows, header, empty=_NONE))


@models.command("show")
@click.argument("name", shell_complete=complete_model)
def show_model(name: str) -> None:
    """Show the registered model NAME: its versions, stages, aliases and tags."""
    from nbtrack.htmlview import format_time

    model = _model(open_client(), name)
    facts = {
        "name": model.name,
        "description": model.description,
        "registered": format_time(model.creation_timestamp),
        "changed": format_time(model.last_updated_timestamp),
    }
    tags = sorted(model.tags.items())
    answer(
        asdict(model),
        *(f"{name:<12} {value}" for name, value in facts.items() if value),
        *(["", *table(tags, ["tag", "value"])] if tags else []),
        "",
        *_versions(model.versions),
    )


@models.command("versions")
@click.argument("name", shell_complete=complete_model)
def list_versions(name: str) -> None:
    """List the versions of the registered model NAME, newest first."""
    model = _model(open_client(), name)
    answer([asdict(version) for version in model.versions], *_versions(model.versions))


def _versions(versions: Iterable[ModelVersion]) -> list[str]:
    from nbtrack.htmlview import format_time

    rows = [
        [
            version.version,
            version.current_stage,
            ", ".join(version.aliases),
            ", ".join(f"{key}={value}" for key, value in sorted(version.tags.items())),
            version.run_name or "",
            format_time(version.creation_timestamp),
            version.user_id,
            version.description,
        ]
        for version in versions
    ]
    header = ["version", "stage", "aliases", "tags", "run", "registered", "by", "description"]
    return table(rows, header, empty="It has no versions: nbtrack models register makes one.")


def _model(client: Client, name: str) -> RegisteredModel:
    found = client.search_registered_models()
    for model in found:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in found[:10])
    raise NotFoundError(
        f"There is no registered model {name!r}.", hint=f"There is: {known}." if known else _NONE
    )


@models.command("register")
@click.argument("run", shell_complete=complete_run)
@click.argument("name", shell_complete=complete_model)
def register_model(run: str, name: str) -> None:
    """Make the next version of the registered model NAME from the model of a RUN."""
    version = open_client().register_model(run, name)
    answer(
        {"name": version.name, "version": version.version, "run_id": version.run_id},
        f"Registered {version.name} version {version.version}.",
    )
