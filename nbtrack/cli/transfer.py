"""Runs from one file to another."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nbtrack.cli.base import Command, answer, line, open_client

if TYPE_CHECKING:
    from nbtrack.transfer import MergeReport


@click.command("merge", cls=Command)
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_context
def merge_command(ctx: click.Context, sources: tuple[Path, ...], *, dry_run: bool) -> None:
    """Bring all that the databases SOURCES have into this one; again changes nothing."""
    client = open_client(make=not dry_run)
    reports = [client.merge(source, dry_run=dry_run) for source in sources]
    note = " (nothing was written)" if dry_run else ""
    answer(
        [
            {"path": str(source), "dry_run": dry_run, **asdict(report)}
            for source, report in zip(sources, reports, strict=True)
        ],
        *(
            text
            for source, report in zip(sources, reports, strict=True)
            for text in _lines(f"{source}{note}", report)
        ),
    )
    ctx.exit(_status(*reports))


@click.command("export", cls=Command)
@click.argument("run_names", metavar="[RUNS]...", nargs=-1)
@click.argument("path", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--experiment", "experiments", multiple=True, help="All its runs; may be repeated.")
@click.pass_context
def export_command(
    ctx: click.Context, run_names: tuple[str, ...], path: Path, *, experiments: tuple[str, ...]
) -> None:
    """Bring RUNS, their children and all they refer to into the database OUT."""
    report = open_client().export(run_names, path, experiment_names=experiments)
    answer({"path": str(path), **asdict(report)}, *_lines(str(path), report))
    ctx.exit(_status(report))


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
    return [clip(text, 500) for text in (*lines, *report.conflicts)]


def _status(*reports: MergeReport) -> int:
    """Say what was left out; return the status: 1 if something was."""
    from nbtrack.htmlview import clip

    problems = [sentence for report in reports for sentence in report.problems]
    for sentence in problems:
        click.echo(line(clip(sentence, 500)), err=True)
    return 1 if problems else 0
