"""One HTML file with all of it."""

from __future__ import annotations

from pathlib import Path

import click

from nbtrack.cli.base import Command, answer, open_client, progress
from nbtrack.cli.completion import complete_run


@click.command("report", cls=Command)
@click.argument("path", type=click.Path(path_type=Path), default="nbtrack-report.html")
@click.option("--title", help="Heading of the report.")
@click.option(
    "--run",
    "run_names",
    metavar="RUN",
    multiple=True,
    help="Only this run; may be repeated.",
    shell_complete=complete_run,
)
def report_command(path: Path, title: str | None, run_names: tuple[str, ...]) -> None:
    """Write one HTML file that opens offline."""
    from nbtrack import htmlview
    from nbtrack.report import write_report

    client = open_client()
    with progress("report", "") as shown:
        written = write_report(
            path, runs=run_names or None, title=title, client=client, progress=shown
        )
    size = written.stat().st_size
    answer(
        {"path": str(written), "bytes": size},
        f"The report is in {written} ({htmlview.format_size(size)}).",
    )
