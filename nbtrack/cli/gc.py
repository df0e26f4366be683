"""What is in the trash, deleted for good."""

from __future__ import annotations

from dataclasses import asdict

import click

from nbtrack.cli.base import Command, answer, open_client


@click.command("gc", cls=Command)
@click.option("--older-than", metavar="AGE", help="Only what is in the trash for so long: 30d, 8h.")
@click.option("--run-ids", metavar="IDS", help="Only these runs; ids with commas between them.")
@click.option("--experiment-ids", metavar="IDS", help="Only of these experiments, likewise.")
@click.option("--dry-run", is_flag=True, help="Change nothing, and say what would go.")
def collect(
    *, older_than: str | None, run_ids: str | None, experiment_ids: str | None, dry_run: bool
) -> None:
    """Delete for good what is in the trash, and what nothing refers to any more."""
    from nbtrack import htmlview

    done = open_client().gc(older_than, _ids(run_ids), _ids(experiment_ids), dry_run=dry_run)
    what = {
        "run": len(done.run_ids),
        "experiment": len(done.experiments),
        "artifact": done.artifacts,
        "blob": done.blobs,
        "dataset": done.datasets,
        "cell": done.cells,
        "shape": done.shapes,
    }
    counts = ", ".join(htmlview.format_count(number, name) for name, number in what.items())
    size = htmlview.format_size(done.nbytes)
    verb = "Would delete" if dry_run else "Deleted"
    orphans = htmlview.format_count(done.orphans, "file")
    outside = f"{verb} outside of the database: {orphans} that belong to nothing"
    answer(
        asdict(done),
        f"{verb}: {counts} ({size}).",
        *([f"{outside} ({htmlview.format_size(done.orphan_bytes)})."] if done.orphans else []),
        *(f"Kept: {run.run_name} ({run.run_id}), because {run.reason}." for run in done.kept),
    )


def _ids(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]
