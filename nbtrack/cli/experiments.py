"""Experiments: made, listed, renamed, put into the trash, written as CSV."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nbtrack.cli.base import (
    Failure,
    Group,
    answer,
    either,
    open_client,
    options,
    table,
    view_option,
)
from nbtrack.cli.completion import complete_experiment
from nbtrack.errors import NotFoundError

if TYPE_CHECKING:
    from nbtrack.tracking import Client
    from nbtrack.types import Experiment


def chosen_experiment(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call a command with a client, and the experiment that is named in one of three ways."""

    @click.argument(
        "text", metavar="EXPERIMENT", required=False, shell_complete=complete_experiment
    )
    @click.option("-x", "--experiment-id", "number", metavar="ID", help="The experiment by its id.")
    @click.option(
        "-n",
        "--experiment-name",
        "name",
        metavar="NAME",
        help="The experiment by its name.",
        shell_complete=complete_experiment,
    )
    @functools.wraps(function)
    def wrapper(*, text: str | None, number: str | None, name: str | None, **kwargs: Any) -> Any:
        if [text, number, name].count(None) != 2:  # noqa: PLR2004 - one is given
            raise click.UsageError("Name one EXPERIMENT: by id or name, by -x ID or by -n NAME.")
        client = open_client()
        found = client.get_experiment(number) if number is not None else _find(client, text, name)
        return function(client, found, **kwargs)

    return wrapper


def _find(client: Client, text: str | None, name: str | None) -> Experiment:
    wanted = name if text is None else text
    # A name goes first: an experiment may be called 2.
    found = client.get_experiment_by_name(str(wanted))
    if found is not None:
        return found
    if text is not None and text.isdecimal():
        return client.get_experiment(text)
    raise NotFoundError(
        f"There is no experiment {wanted!r}.", hint="nbtrack experiments list --view all has all."
    )


@click.group(cls=Group)
def experiments() -> None:
    """Make experiments, look at them, and put them into the trash."""


@experiments.command("create")
@either("name", "-n", "--experiment-name", metavar="NAME")
@click.option(
    "-l", "--artifact-location", metavar="URI", help="Where MLflow would keep its runs' files."
)
def create_experiment(name: str, artifact_location: str | None) -> None:
    """Make an experiment of that NAME."""
    number = open_client(make=True).create_experiment(name, artifact_location)
    answer({"experiment_id": number, "name": name}, f"Made: {name} (id {number}).")


@experiments.command("list")
@view_option
@click.option("--filter", "filter_string", default="", help="Such as \"name LIKE 'churn%'\".")
@click.option("--order-by", "order_by", multiple=True, help="Such as 'name ASC'; may be repeated.")
@click.option(
    "--max-results", type=click.IntRange(1, 50_000), default=50_000, help="At most so many."
)
def list_experiments(
    *, view: str, filter_string: str, order_by: tuple[str, ...], max_results: int
) -> None:
    """List the experiments, newest first or in another order."""
    from nbtrack.htmlview import format_time

    found = open_client().search_experiments(
        view.upper(), max_results, filter_string, order_by or None
    )
    rows = [
        [e.experiment_id, e.name, str(e.lifecycle_stage), format_time(e.creation_time)]
        for e in found
    ]
    empty = "There are no such experiments. --view all shows those in the trash, too."
    header = ["id", "name", "stage", "made"]
    answer([asdict(e) for e in found], *table(rows, header, empty=empty))


experiments.add_command(list_experiments, "search")  # MLflow's name for it


@experiments.command("get")
@chosen_experiment
def get_experiment(client: Client, experiment: Experiment) -> None:
    """Show an EXPERIMENT."""
    from nbtrack.htmlview import format_time

    facts = {
        "id": experiment.experiment_id,
        "name": experiment.name,
        "stage": str(experiment.lifecycle_stage),
        "made": format_time(experiment.creation_time),
        "changed": format_time(experiment.last_update_time),
        "location": experiment.artifact_location,
    }
    tags = sorted(experiment.tags.items())
    answer(
        asdict(experiment),
        *(f"{name:<9} {value}" for name, value in facts.items() if value),
        *(["", *table(tags, ["tag", "value"])] if tags else []),
    )


@experiments.command("rename")
@chosen_experiment
@click.option("--new-name", metavar="NAME", required=True, help="The name that it gets.")
def rename_experiment(client: Client, experiment: Experiment, new_name: str) -> None:
    """Give an EXPERIMENT another name."""
    client.rename_experiment(experiment.experiment_id, new_name)
    answer(
        {"experiment_id": experiment.experiment_id, "name": new_name, "was": experiment.name},
        f"Renamed: {experiment.name} is {new_name} now (id {experiment.experiment_id}).",
    )


@experiments.command("delete")
@chosen_experiment
def delete_experiment(client: Client, experiment: Experiment) -> None:
    """Put an EXPERIMENT (id or name) and its runs into the trash."""
    client.delete_experiment(experiment.experiment_id)
    answer(
        {"deleted": experiment.experiment_id},
        f"In the trash: {experiment.name} (id {experiment.experiment_id}).",
    )


@experiments.command("restore")
@chosen_experiment
def restore_experiment(client: Client, experiment: Experiment) -> None:
    """Take an EXPERIMENT (id or name) and its runs out of the trash."""
    client.restore_experiment(experiment.experiment_id)
    answer(
        {"restored": experiment.experiment_id},
        f"Restored: {experiment.name} (id {experiment.experiment_id}).",
    )


@experiments.command("csv")
@chosen_experiment
@click.option(
    "-o",
    "--filename",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it there; default: print it.",
)
def experiment_csv(client: Client, experiment: Experiment, filename: Path | None) -> None:
    """Write all runs of an EXPERIMENT as CSV, with MLflow's columns."""
    from nbtrack.htmlview import format_count
    from nbtrack.tracking.frames import mlflow_frame

    frame = mlflow_frame(client.run_table([experiment.experiment_id]))
    text = frame.to_csv(index=False)
    if filename is not None:
        try:
            filename.write_text(text, "utf-8", "replace", newline="")
        except OSError as error:
            raise Failure(f"{filename} cannot be written: {error.strerror}.") from error
        answer(
            {"path": str(filename.absolute()), "runs": len(frame)},
            f"Written to {filename}: {format_count(len(frame), 'run')}.",
        )
    elif options().as_json:
        answer({"csv": text, "runs": len(frame)})
    else:
        click.echo(text, nl=False)
