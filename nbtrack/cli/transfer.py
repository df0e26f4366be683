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
                *(text for path, report in done for text in _lines(f"{path}{note}", report)),
            )
    _fail_for(problem for _, report in done for problem in report.problems)


@click.command("export", cls=Command)
@click.argument("run_names", metavar="[RUNS]...", nargs=-1, shell_complete=complete_run)
@click.argument("path", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--experiment",
    "experiments",
    metavar="NAME",
    multiple=True,
    help="All its runs; may be repeated.",
    shell_complete=complete_experiment,
)
def export_command(run_names: tuple[str, ...], path: Path, *, experiments: tuple[str, ...]) -> None:
    """Bring RUNS, their children and all they refer to into the database OUT."""
    client = open_client()
    with progress("export", "") as shown:
        report = client.export(run_names, path, experiment_names=experiments, progress=shown)
    answer({"path": str(path), **asdict(report)}, *_lines(str(path), report))
    _fail_for(report.problems)


def _lines(where: str, report: MergeReport) -> list[str]:
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
    return [clip(text, _LONG) for text in (*lines, *report.conflicts)]


def _fail_for(problems: Iterable[str]) -> None:
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
