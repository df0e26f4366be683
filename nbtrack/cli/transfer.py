"""Runs from one file to another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nbtrack.cli.base import Command, Failure, answer, open_client, options, progress
from nbtrack.cli.completion import complete_experiment, complete_run
from nbtrack.cli.tables import clean

if TYPE_CHECKING:
    from nbtrack.transfer import MergeReport

_LONG = 500  # letters of a sentence that is about somebody else's file


@click.command("merge", cls=Command)
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def merge_command(sources: tuple[Path, ...], *, dry_run: bool) -> None:
    """Bring all that the databases SOURCES have into this one; again changes nothing."""
    client = open_client(make=not dry_run)
    note = " (nothing was written)" if dry_run else ""
    done: list[tuple[Path, MergeReport]] = []
    try:
        for source in sources:
            with progress(f"merge {clean(source.name)}", "") as shown:
                done.append((source, client.merge(source, dry_run=dry_run, progress=shown)))
    finally:  # where one of them cannot be read, it is told what the others brought
        if done:
            answer(
                [
                    {"path": str(path), "dry_run": dry_run, **asdict(report)}
                    for path, report in done
                ],
                *(text for path, report in done for text in report_lines(f"{path}{note}", report)),
            )
    fail_for(problem for _, report in done for problem in report.problems)


@click.command("export", cls=Command)
@click.argument("run_names", metavar="[RUNS]...", nargs=-1, shell_complete=complete_run)
@click.argument("target", metavar="OUT", type=click.Path())
@click.option(
    "--experiment",
    "experiments",
    metavar="NAME",
    multiple=True,
    help="All its runs; may be repeated.",
    shell_complete=complete_experiment,
)
@click.option(
    "--mlflow",
    is_flag=True,
    help="OUT is MLflow's: a folder mlruns, or a database mlflow.db. A server is so anyway.",
)
def export_command(
    run_names: tuple[str, ...], target: str, *, experiments: tuple[str, ...], mlflow: bool
) -> None:
    """Bring RUNS, their children and all they refer to into the database OUT, or to MLflow."""
    from nbtrack.wire.address import is_address, parse_address

    client = open_client()
    is_server = is_address(target)
    with progress("export", "") as shown:
        export = client.export_mlflow if mlflow or is_server else client.export
        report = export(run_names, target, experiment_names=experiments, progress=shown)
    where = str(parse_address(target)) if is_server else target  # without a password
    answer({"path": where, **asdict(report)}, *report_lines(where, report))
    fail_for(report.problems)


def report_lines(where: str, report: MergeReport) -> list[str]:
    """Return what was brought over."""
    from nbtrack.htmlview import clip, format_count, format_size

    runs, files = format_count(len(report.added), "run"), format_count(report.files, "file")
    lines = [
        (
            f"{where}: {runs} added, {len(report.updated)} brought up to date, "
            f"{report.unchanged} unchanged; {files} ({format_size(report.bytes)})."
        )
    ]
    for made in report.versions:
        was = f", {made.source_version} there" if made.source_version != made.version else ""
        lines.append(f"Model {made.name}: version {made.version}{was}.")
    lines += [f"Model {name}: brought up to date." for name in report.models]
    return [clip(text, _LONG) for text in (*lines, *report.conflicts)]


def fail_for(problems: Iterable[str]) -> None:
    """Say what was left out, and fail if that is something."""
    from nbtrack.htmlview import clip

    found = list(problems)
    if not found:
        return
    if not options().as_json:  # there the answer has them
        for sentence in found:
            click.echo(clean(clip(sentence, _LONG)), err=True)
    what = "One thing was" if len(found) == 1 else f"{len(found)} things were"
    raise Failure(f"{what} not brought over; all else was.")
