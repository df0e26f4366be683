"""Registered models on their way from one file to another.

A version is the same one in both files if its model's name, its run, its source and the time when
it was registered are the same. One that is not here keeps its number where that was never given
here, and gets the next one otherwise. One that is here gets what it lacks; where both have
something, that of the later update counts. Each version that is added, and each stage that is
another one now, is noted in the audit trail of this file.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nbtrack.db import Connection
from nbtrack.errors import IntegrityError
from nbtrack.registry.base import check_name
from nbtrack.store.records import now_ms
from nbtrack.store.words import STAGES, VERSION_STATUSES
from nbtrack.transfer.checks import (
    check_id,
    check_times,
    check_word,
    later,
    settled,
)
from nbtrack.transfer.report import MergedVersion, MergeReport
from nbtrack.transfer.sqlite import Row, Source

_CHANGING = ("description", "current_stage", "status", "run_link", "model_id")
_VERSION = (
    f"run_id, source, creation_timestamp, user_id, {', '.join(_CHANGING)}, last_updated_timestamp"
)


def bring_models(
    source: Source, conn: Connection, name: str, user_id: str, runs: Collection[str] | None = None
) -> MergeReport:
    """Bring a registered model and its versions over; return what was done.

    Parameters
    ----------
    user_id
        Who does so.
    runs
        Only versions of these runs, and the model only if there is one; None: all.

    Raises
    ------
    NbtrackError
        It says what cannot be.
    """
    check_name(name)
    bringing = _Bringing(source, conn, name, user_id, MergeReport())
    versions = [
        version
        for version in source.rows(
            f"SELECT version, {_VERSION} FROM model_versions WHERE name = ? ORDER BY version",
            (name,),
        )
        if (runs is None or version["run_id"] in runs) and bringing.has_run_of(version)
    ]
    if versions or runs is None:
        bringing.bring(versions)
    return bringing.report


@dataclass(frozen=True, slots=True)
class _Bringing:
    """A registered model on its way."""

    source: Source
    conn: Connection
    name: str
    user_id: str
    report: MergeReport

    def has_run_of(self, version: Row) -> bool:
        """Return whether a version's run is here, if it has one; else it is told."""
        run_id = version["run_id"]
        if (
            run_id is None
            or self.conn.execute("SELECT 1 FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        ):
            return True
        self.report.problems.append(
            f"Version {version['version']} of the model {self.name!r} was left out: its run "
            f"{run_id} is not here."
        )
        return False

    def bring(self, versions: Iterable[Row]) -> None:
        """Bring the model, these versions and their aliases over."""
        changed = self._bring_model()
        numbers: dict[int, int] = {}
        for version in versions:
            check_version(version)
            found = self.conn.execute(
                "SELECT version FROM model_versions WHERE name = ? AND run_id IS ? AND source = ?"
                " AND creation_timestamp = ?",
                (self.name, *tuple(version)[1:4]),
            ).fetchone()
            if found is None:
                found = (self._add(version),)
                self.report.versions.append(MergedVersion(self.name, found[0], version["version"]))
            else:
                changed |= self._update(found[0], version)
            numbers[version["version"]] = found[0]
        changed |= self._bring_aliases(numbers)
        if changed:
            self.report.models.append(self.name)

    def _bring_model(self) -> bool:
        """Bring what is of the name, and of no version; return whether there was something new."""
        columns = "creation_timestamp, last_updated_timestamp, description"
        select = f"SELECT {columns} FROM registered_models WHERE name = ?"
        theirs = self.source.row(select, (self.name,))
        if theirs is None or None in tuple(theirs):
            raise IntegrityError(f"The model {self.name!r} is not whole in the source.")
        created, updated, description = theirs
        check_times(created, updated)
        key = {"name": self.name}
        row = self.conn.execute(select, (self.name,)).fetchone()
        if row is None:
            self.conn.execute(
                f"INSERT INTO registered_models (name, {columns}) VALUES (?, ?, ?, ?)",
                (self.name, *theirs),
            )
            self._bring_tags("registered_model_tags", key, key)
            return True
        is_later = later(row[1], updated)
        gets, differ = settled({"description": row[2]}, {"description": description}, is_later)
        self.conn.execute(
            "UPDATE registered_models SET description = ?,"
            " creation_timestamp = min(creation_timestamp, ?),"
            " last_updated_timestamp = max(last_updated_timestamp, ?) WHERE name = ?",
            (gets.get("description", row[2]), created, updated, self.name),
        )
        added, tags = self._bring_tags("registered_model_tags", key, key, is_later)
        self._tell("", [*differ, *tags])
        return bool(gets) or added

    def _add(self, version: Row) -> int:
        (number,) = self.conn.execute(
            "UPDATE registered_models SET last_version = max(last_version + 1, ?) WHERE name = ?"
            " RETURNING last_version",
            (version["version"], self.name),
        ).fetchone()
        self.conn.execute(
            f"INSERT INTO model_versions (name, version, {_VERSION})"
            f" VALUES ({', '.join('?' * (len(tuple(version)) + 1))})",
            (self.name, number, *tuple(version)[1:]),
        )
        there = {"name": self.name, "version": version["version"]}
        self._bring_tags("model_version_tags", there, {**there, "version": number})
        details = {"source": version["source"], "version_there": version["version"]}
        self._note(number, "merged", details)
        return int(number)

    def _update(self, number: int, version: Row) -> bool:
        """Give a version that is here what it lacks, and what is later; return whether it did."""
        here = {"name": self.name, "version": number}
        *values, updated = self.conn.execute(
            f"SELECT {', '.join(_CHANGING)}, last_updated_timestamp FROM model_versions"
            " WHERE name = :name AND version = :version",
            here,
        ).fetchone()
        ours = dict(zip(_CHANGING, values, strict=True))
        is_later = later(updated, version["last_updated_timestamp"])
        gets, differ = settled(ours, {name: version[name] for name in _CHANGING}, is_later)
        if "current_stage" in gets:
            details = {"from": ours["current_stage"], "to": gets["current_stage"], "by": "merge"}
            self._note(number, "transitioned", details)
        if is_later:
            gets["last_updated_timestamp"] = version["last_updated_timestamp"]
        if gets:
            self.conn.execute(
                f"UPDATE model_versions SET {', '.join(f'{name} = :new_{name}' for name in gets)}"
                " WHERE name = :name AND version = :version",
                {**{f"new_{name}": value for name, value in gets.items()}, **here},
            )
        there = {**here, "version": version["version"]}
        added, tags = self._bring_tags("model_version_tags", there, here, is_later)
        self._tell(f"version {number} of ", [*differ, *tags])
        return bool(gets) or added

    def _note(self, number: int, event: str, details: Mapping[str, object]) -> None:
        self.conn.execute(
            "INSERT INTO model_events (time_ms, user_id, name, version, event, details)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (now_ms(), self.user_id, self.name, number, event, json.dumps(details)),
        )

    def _bring_tags(
        self,
        table: str,
        there: Mapping[str, Any],
        here: Mapping[str, Any],
        is_later: bool | None = None,
    ) -> tuple[bool, list[str]]:
        """Add tags; return whether there was a new one, and which differ."""
        where = " AND ".join(f"{column} = ?" for column in here)
        select = f"SELECT key, value FROM {table} WHERE {where} ORDER BY key"
        ours = dict(self.conn.execute(select, tuple(here.values())))
        theirs = dict(map(tuple, self.source.rows(select, tuple(there.values()))))
        gets, differ = settled(ours, theirs, is_later)
        self.conn.executemany(
            f"INSERT INTO {table} ({', '.join(here)}, key, value)"
            f" VALUES ({', '.join('?' * (len(here) + 2))})"
            " ON CONFLICT DO UPDATE SET value = excluded.value",
            [(*here.values(), *tag) for tag in gets.items()],
        )
        return bool(gets), [f"tag {key!r}" for key in differ]

    def _tell(self, part: str, what: Iterable[str]) -> None:
        self.report.conflicts += [
            f"The {name.replace('_', ' ')} of {part}the model {self.name!r} differs in the two "
            "files: ours is kept."
            for name in what
        ]

    def _bring_aliases(self, numbers: Mapping[int, int]) -> bool:
        """Add the aliases that the name does not have here; one that it has stays where it is."""
        added = False
        for alias, version in self.source.rows(
            "SELECT alias, version FROM model_aliases WHERE name = ? ORDER BY alias", (self.name,)
        ):
            if version not in numbers:
                continue
            here = self.conn.execute(
                "SELECT version FROM model_aliases WHERE name = ? AND alias = ?",
                (self.name, alias),
            ).fetchone()
            if here is None:
                self.conn.execute(
                    "INSERT INTO model_aliases (name, alias, version) VALUES (?, ?, ?)",
                    (self.name, check_name(alias), numbers[version]),
                )
                added = True
            elif here[0] != numbers[version]:
                self.report.conflicts.append(
                    f"The alias {alias!r} of the model {self.name!r} is version {here[0]} here, "
                    f"and would be {numbers[version]}: ours is kept."
                )
        return added


def check_version(version: Row) -> None:
    """Refuse a version that could not be read afterwards.

    Raises
    ------
    IntegrityError
        It says what it has.
    """
    check_times(version["creation_timestamp"], version["last_updated_timestamp"])
    check_word(version["current_stage"], STAGES)
    check_word(version["status"], VERSION_STATUSES)
    if version["model_id"] is not None:
        check_id(version["model_id"])
