"""Models: listed, shown, registered, asked for predictions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nbtrack.cli.base import Group, answer, open_client, options, table
from nbtrack.cli.completion import complete_model, complete_run
from nbtrack.errors import NotFoundError

if TYPE_CHECKING:
    from nbtrack.tracking import Client
    from nbtrack.types import ModelVersion, RegisteredModel

_NONE = "No model is registered yet: nbtrack models register RUN NAME does so."


@click.group(cls=Group)
def models() -> None:
    """Look at registered models, add to them, and predict with models."""


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


@models.command("predict")
@click.option("-m", "--model-uri", metavar="URI", required=True, help="As of nbtrack.load_model.")
@click.option(
    "-i",
    "--input-path",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="CSV with a header, Parquet, JSON lines, or a JSON document as MLflow's server takes it.",
)
@click.option(
    "-o",
    "--output-path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Becomes .csv, .parquet or .jsonl, else MLflow's JSON; default: print that.",
)
@click.option(
    "-t",
    "--content-type",
    type=click.Choice(["csv", "json", "parquet"]),
    help="Of the input; default: as its extension says.",
)
@click.option("--chunk-rows", type=click.IntRange(1), help="So many at once; default: as suits.")
@click.option("--trust", is_flag=True, help="Run the model's code although somebody else made it.")
def predict(
    model_uri: str,
    *,
    input_path: Path,
    output_path: Path | None,
    content_type: str | None,
    chunk_rows: int | None,
    trust: bool,
) -> None:
    """Let a model predict for a file of any length, a part at a time."""
    from nbtrack.batch import open_output, run
    from nbtrack.registry import parse

    client = open_client(make=parse(model_uri) is None)  # a folder needs no database
    with open_output(output_path) as output:
        rows = run(
            client,
            model_uri,
            input_path,
            output.write,
            content_type=content_type,
            chunk_rows=chunk_rows,
            trust=trust,
            progress=not options().quiet,
        )
    if output_path is not None:
        answer(
            {"rows": rows, "output_path": str(output_path)},
            f"{rows:,} rows predicted: {output_path}",
        )
