"""Registered models on their way from one file to another.

A version is the same one in both files if its model's name, its run, its source and the time when
it was registered are the same. One that is not here keeps its number where that was never given
here, and gets the next one otherwise. Each that is added is noted in the audit trail of this file.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from nbtrack.db import Connection
from nbtrack.registry.base import check_name
from nbtrack.store.records import now_ms
from nbtrack.transfer.checks import check_times
from nbtrack.transfer.report import MergedVersion, MergeReport
from nbtrack.transfer.sqlite import Row, Source


def bring_models(
    source: Source, conn: Connection, name: str, user_id: str, runs: Collection[str] | None = None
) -> MergeReport:
    """Bring the versions of a registered model over; return what was done.

    Parameters
    ----------
    user_id
        Who does so.
    runs
        Only versions of these runs; None: all.

    Raises
    ------
    NbtrackError
        It says what cannot be.
    """
    report = MergeReport()
    check_name(name)
    numbers: dict[int, int] = {}
    versions = source.rows(
        "SELECT version, run_id, source, creation_timestamp, user_id FROM model_versions"
        " WHERE name = ? ORDER BY version",
        (name,),
    )
    for version in versions:
        if runs is not None and version["run_id"] not in runs:
            continue
        found = conn.execute(
            "SELECT version FROM model_versions WHERE name = ? AND run_id IS ? AND source = ?"
            " AND creation_timestamp = ?",
            (name, *tuple(version)[1:4]),
        ).fetchone()
        if found is None:
            known = "SELECT 1 FROM runs WHERE run_id = ?"
            run_id = version["run_id"]
            if run_id is not None and not conn.execute(known, (run_id,)).fetchone():
                report.problems.append(
                    f"Version {version['version']} of the model {name!r} was left out: its run "
                    f"{run_id} is not here."
                )
                continue
            found = (_add(conn, name, version, user_id),)
            report.versions.append(MergedVersion(name, found[0], version["version"]))
        numbers[version["version"]] = found[0]
    if numbers:
        _bring_aliases(source, conn, name, numbers, report)
    return report


def _add(conn: Connection, name: str, version: Row, user_id: str) -> int:
    check_times(version["creation_timestamp"])
    now = now_ms()
    (number,) = conn.execute(
        "INSERT INTO registered_models (name, creation_timestamp, last_updated_timestamp,"
        " last_version) VALUES (:name, :created, :now, :version) ON CONFLICT (name) DO UPDATE SET"
        " last_version = max(last_version + 1, excluded.last_version),"
        " creation_timestamp = min(creation_timestamp, excluded.creation_timestamp),"
        " last_updated_timestamp = excluded.last_updated_timestamp RETURNING last_version",
        {
            "name": name,
            "created": version["creation_timestamp"],
            "now": now,
            "version": version["version"],
        },
    ).fetchone()
    conn.execute(
        "INSERT INTO model_versions (name, version, run_id, source, creation_timestamp, user_id)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (name, number, *tuple(version)[1:]),
    )
    details = {"source": version["source"], "version_there": version["version"]}
    conn.execute(
        "INSERT INTO model_events (time_ms, user_id, name, version, event, details)"
        " VALUES (?, ?, ?, ?, 'merged', ?)",
        (now, user_id, name, number, json.dumps(details)),
    )
    return int(number)


def _bring_aliases(
    source: Source, conn: Connection, name: str, numbers: dict[int, int], report: MergeReport
) -> None:
    """Add the aliases that the name does not have here; one that it has stays where it is."""
    for alias, version in source.rows(
        "SELECT alias, version FROM model_aliases WHERE name = ? ORDER BY alias", (name,)
    ):
        if version not in numbers:
            continue
        here = conn.execute(
            "SELECT version FROM model_aliases WHERE name = ? AND alias = ?", (name, alias)
        ).fetchone()
        if here is None:
            conn.execute(
                "INSERT INTO model_aliases (name, alias, version) VALUES (?, ?, ?)",
                (name, check_name(alias), numbers[version]),
            )
        elif here[0] != numbers[version]:
            report.conflicts.append(
                f"The alias {alias!r} of the model {name!r} is version {here[0]} here, and would "
                f"be {numbers[version]}: ours is kept."
            )
