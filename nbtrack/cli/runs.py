"""Runs: made, listed, shown, put into the trash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nbtrack.cli.base import Group, answer, either, open_client, table, view_option
from nbtrack.cli.completion import complete_deleted_run, complete_experiment, complete_run
from nbtrack.types import CANDIDATE_TAG, NOTICE_TAGS

if TYPE_CHECKING:
    from nbtrack.types import Run

_METRICS = 4  # columns of the list
_CHILDREN = 50


@click.group(cls=Group)
def runs() -> None:
    """Make runs, look at them, and put them into the trash."""


@runs.command("list")
@click.option("-n", "--max-results", "count", type=click.IntRange(1), default=20, show_default=True)
@click.option(
    "--experiment",
    "experiments",
    metavar="NAME",
    multiple=True,
    help="Only this one; may be repeated.",
    shell_complete=complete_experiment,
)
@click.option(
    "--experiment-id", "ids", metavar="ID", multiple=True, help="The same by its id, likewise."
)
@click.option("--filter", "filter_string", default="", help="Such as 'metrics.acc > 0.9'.")
@click.option(
    "--order-by", "order_by", multiple=True, help="Such as 'metrics.acc DESC'; may be repeated."
)
@view_option
@click.option("--trash", is_flag=True, help="The same as --view deleted_only.")
def list_runs(
    *,
    count: int,
    experiments: tuple[str, ...],
    ids: tuple[str, ...],
    filter_string: str,
    order_by: tuple[str, ...],
    view: str,
    trash: bool,
) -> None:
    """List the runs, newest first or in another order.

    Candidates of searches are not among them, unless --filter or --view ask for them.
    """
    from nbtrack.datasource import run_json

    client = open_client()
    whole_ids = trash or view != "active_only"  # by which alone they can be taken out of the trash
    if not filter_string and not whole_ids and isinstance(client.place, Path):
        filter_string = f"tags.`{CANDIDATE_TAG}` IS NULL"  # servers cannot ask for what is absent
    found: Sequence[Run] = client.search_runs(
        [client.get_experiment(number).experiment_id for number in ids] or None,
        filter_string=filter_string,
        run_view_type="DELETED_ONLY" if trash else view.upper(),
        max_results=count,
        order_by=order_by,
        experiment_names=experiments or None,
    )
    answer([run_json(run, []) for run in found], *_table(found, whole_ids=whole_ids))


def _table(found: Sequence[Run], *, whole_ids: bool) -> list[str]:
    from nbtrack import htmlview

    known = sorted({key for run in found for key in run.data.metrics})
    metrics = htmlview.telling_first(known)[:_METRICS]
    rows = [
        [
            run.info.run_id if whole_ids else run.info.run_id[:8],
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
    return table(
        rows,
        header,
        empty="There are no such runs. Fewer conditions, --view all or another --db may show some.",
    )


@runs.command("show")
@either("run", "-r", "--run-id", metavar="RUN", complete=complete_run)
def show_run(run: str) -> None:
    """Show all that is known of a RUN (id, beginning of an id, or name)."""
    details = _details(run)
    answer(details, *_shown(details), *_children(details["run"]["run_id"]))


def _children(run_id: str) -> list[str]:
    """Return the lines of the runs below a run, the best ones of a search say."""
    client = open_client()
    if not isinstance(client.place, Path):
        return []  # MLflow's servers cannot be asked for them
    found = client.search_runs(filter_string=f"parent_run_id = '{run_id}'", max_results=_CHILDREN)
    return ["", *_table(found, whole_ids=False)] if found else []


@runs.command("describe")
@either("run", "-r", "--run-id", metavar="RUN", complete=complete_run)
def describe_run(run: str) -> None:
    """Print all that is known of a RUN as JSON, as show --json."""
    details = _details(run)
    answer(details, *json.dumps(details, indent=1).splitlines())


def _details(run: str) -> dict[str, Any]:
    from nbtrack.datasource import DataSource

    return DataSource(open_client()).run_details(run)


def _shown(details: dict[str, Any]) -> list[str]:
    """Return the lines that people read."""
    from nbtrack.htmlview import (
        format_duration,
        format_number,
        format_size,
        format_time,
        telling_first,
    )

    run = details["run"]
    facts = {
        "run": f"{run['run_name']} ({run['run_id']})",
        "experiment": run["experiment"],
        "status": run["status"],
        "started": format_time(run["start_time"]),
        "duration": format_duration(run["duration_ms"]),
        "by": run["user_id"],
        "notebook": run["notebook"],
        "error": run["error"],
        "registered": ", ".join(f"{x['name']} version {x['version']}" for x in run["registered"]),
    }
    notices = [text for key, text in sorted(run["tags"].items()) if key.startswith(NOTICE_TAGS)]
    known = [*facts.items(), *(("notice", text) for text in notices)]
    lines = [f"{name:<11} {value}" for name, value in known if value not in {None, ""}]
    metrics = []
    for key in telling_first(sorted(run["metrics"])):
        summary = run["metrics"][key]
        last, low, high = (format_number(float(summary[part])) for part in ("last", "min", "max"))
        count = summary["count"]  # 0 on a server, which tells the last value only
        metrics.append([key, last, low, high, count] if count else [key, last, "–", "–", "–"])
    parts = {
        "metric": (metrics, ["last", "min", "max", "points"]),
        "param": (sorted(run["params"].items()), ["value"]),
        "tag": (sorted(run["tags"].items()), ["value"]),
        "dataset": (
            [[x["name"], x["context"], x["digest"]] for x in details["inputs"]],
            ["as", "digest"],
        ),
        "artifact": (
            [[file["path"], format_size(file["size_bytes"])] for file in details["artifacts"]],
            ["size"],
        ),
    }
    for name, (rows, header) in parts.items():
        if rows:
            lines += ["", *table(rows, [name, *header])]
    return lines


@runs.command("create")
@click.option(
    "--experiment-name",
    metavar="NAME",
    help="It is made if there is none of that name; default: the setting experiment.",
    shell_complete=complete_experiment,
)
@click.option("--experiment-id", metavar="ID", help="The same by its id.")
@click.option("--run-name", metavar="NAME", help="Default: a name is made up.")
@click.option("--description", metavar="TEXT", help="What the run is about.")
@click.option("-t", "--tags", metavar="KEY=VALUE", multiple=True, help="May be repeated.")
@click.option(
    "--status",
    type=click.Choice(["FINISHED", "FAILED", "KILLED"], case_sensitive=False),
    default="FINISHED",
    show_default=True,
    help="How it ends.",
)
@click.option(
    "--parent-run-id",
    metavar="RUN",
    help="The run that it is a part of.",
    shell_complete=complete_run,
)
def create_run(
    *,
    experiment_name: str | None,
    experiment_id: str | None,
    run_name: str | None,
    description: str | None,
    tags: tuple[str, ...],
    status: str,
    parent_run_id: str | None,
) -> None:
    """Make a run that has ended: logs of other programs can be put into it."""
    if experiment_name is not None and experiment_id is not None:
        raise click.UsageError("Give --experiment-name or --experiment-id, not both.")
    pairs = _pairs(tags)
    if description is not None:
        pairs["mlflow.note.content"] = description
    client = open_client(make=True)
    run = client.start_run(
        run_name,
        experiment_name=experiment_name,
        experiment_id=experiment_id,
        parent_run_id=None if parent_run_id is None else client.get_run(parent_run_id).info.run_id,
        tags=pairs,
    )
    run.end(status.upper())
    made = client.get_run(run.run_id).info
    answer(
        {
            "run_id": made.run_id,
            "experiment_id": made.experiment_id,
            "status": str(made.status),
            "run_name": made.run_name,
        },
        f"Made: {made.run_name} ({made.run_id}).",
    )


def _pairs(tags: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for tag in tags:
        key, equals, value = tag.partition("=")
        if not equals or not key:
            raise click.UsageError(f"{tag!r} is no tag: it must be KEY=VALUE.")
        if key in pairs:
            raise click.UsageError(f"The tag {key!r} is given twice.")
        pairs[key] = value
    return pairs


@runs.command("delete")
@either("chosen", "-r", "--run-id", metavar="RUN", many=True, complete=complete_run)
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
@either("chosen", "-r", "--run-id", metavar="RUN_ID", many=True, complete=complete_deleted_run)
def restore_runs(chosen: tuple[str, ...]) -> None:
    """Take runs out of the trash: each by its full id."""
    client = open_client()
    found = [client.get_run(run).info for run in chosen]
    for info in found:
        client.restore_run(info.run_id)
    answer(
        {"restored": [info.run_id for info in found]},
        *(f"Restored: {info.run_name} ({info.run_id})." for info in found),
    )
