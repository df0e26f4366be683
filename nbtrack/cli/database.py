"""The file, kept in order."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import click

from nbtrack.cli.base import Failure, Group, answer, open_client, progress


@click.group("db", cls=Group)
def database() -> None:
    """Keep the file in order."""


@database.command("check")
def check_database() -> None:
    """Verify every digest, reference and point; the status is 1 if something is wrong."""
    client = open_client()
    with progress("check") as shown:
        problems = client.check(shown)
    whole = [] if problems else [f"{client.path}: everything is as it was stored."]
    answer(
        {"path": str(client.path), "problems": [asdict(problem) for problem in problems]},
        *(text for problem in problems for text in (problem.what, f"hint: {problem.hint}")),
        *whole,
    )
    if problems:
        raise Failure(f"{client.path}: {len(problems)} problems.")


@database.command("backup")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file that is there.")
@click.option("--no-verify", is_flag=True, help="Keep the copy whatever is wrong with it.")
def backup_database(target: Path, *, force: bool, no_verify: bool) -> None:
    """Copy the file to TARGET while others write, and check the copy."""
    from nbtrack import htmlview

    client = open_client()
    with progress("backup") as shown:
        written = client.backup(target, overwrite=force, verify=not no_verify, progress=shown)
    size = written.stat().st_size
    answer(
        {"path": str(written), "bytes": size},
        f"The backup is in {written} ({htmlview.format_size(size)}).",
    )


@database.command("vacuum")
def vacuum_database() -> None:
    """Give room that is free in the file, after gc say, back to the disk."""
    from nbtrack import htmlview

    client = open_client()
    done = client.vacuum()
    before, after = htmlview.format_size(done.before), htmlview.format_size(done.after)
    lines = [f"{client.path}: {before} before, {after} now."]
    if not done.is_done:
        lines.append("Somebody reads the file: it shrinks when they are done and somebody writes.")
    answer(asdict(done), *lines)


@database.command("upgrade")
def upgrade_database() -> None:
    """Bring the file's schema up to date now; else whoever uses it next does so."""
    from nbtrack.db import connect_reader, connect_writer, translated

    path = open_client().path
    with closing(connect_reader(path, upgrade=False)) as conn:
        before = conn.execute("PRAGMA user_version").fetchone()[0]
    with translated(path), closing(connect_writer(path)) as conn:
        after = conn.execute("PRAGMA user_version").fetchone()[0]
    change = f"schema {after}, as before" if before == after else f"schema {before}, now {after}"
    answer({"path": str(path), "before": before, "after": after}, f"{path}: {change}.")
