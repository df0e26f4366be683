"""The registry in the database file."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from nbtrack.db import Reader, RecordSink
from nbtrack.errors import NotFoundError
from nbtrack.registry.base import check_name
from nbtrack.registry.uri import LATEST, STAGES, RunUri
from nbtrack.types import ModelVersion, RegisteredModel


@dataclass(frozen=True, slots=True)
class _Register:
    name: str
    run_id: str
    artifact_path: str
    user_id: str
    nbytes: int = 500

    def apply(self, conn: sqlite3.Connection) -> int:
        """Write the version and its event; return its number."""
        if not conn.execute(
            "SELECT 1 FROM models WHERE run_id = ? AND artifact_path = ?",
            (self.run_id, self.artifact_path),
        ).fetchone():
            raise NotFoundError(
                f"The run {self.run_id} has no model '{self.artifact_path}' to register.",
                hint="Only a finished fit has one; see the settings log_models and max_model_mb.",
            )
        now = time.time_ns() // 1_000_000
        row = conn.execute(
            "INSERT INTO registered_models (name, creation_timestamp, last_updated_timestamp,"
            " last_version) VALUES (:name, :now, :now, 1) ON CONFLICT (name) DO UPDATE SET"
            " last_version = last_version + 1, last_updated_timestamp = :now"
            " RETURNING last_version",
            {"name": self.name, "now": now},
        ).fetchone()
        version = int(row[0])
        source = f"runs:/{self.run_id}/{self.artifact_path}"
        conn.execute(
            "INSERT INTO model_versions (name, version, run_id, source, creation_timestamp,"
            " user_id) VALUES (?, ?, ?, ?, ?, ?)",
            (self.name, version, self.run_id, source, now, self.user_id),
        )
        conn.execute(
            "INSERT INTO model_events (time_ms, user_id, name, version, event, details)"
            " VALUES (?, ?, ?, ?, 'registered', ?)",
            (now, self.user_id, self.name, version, json.dumps({"source": source})),
        )
        return version


class SqliteRegistry:
    """A `nbtrack.registry.base.Registry` in the database file.

    Parameters
    ----------
    sink
        Where records go: the writer of the file.
    reader
        Read-only connections to the same file.
    """

    def __init__(self, sink: RecordSink, reader: Reader) -> None:
        self._sink = sink
        self._reader = reader

    def register(self, name: str, *, run_id: str, artifact_path: str, user_id: str) -> ModelVersion:
        """Make the next version of a name from a run's model."""
        name = check_name(name)
        version = cast(int, self._sink.call(_Register(name, run_id, artifact_path, user_id)))
        return self.get_version(name, version)

    def search_models(self) -> list[RegisteredModel]:
        """Return all registered models by name, each with its versions, newest first."""
        self._sink.flush()
        by_name: defaultdict[str, list[ModelVersion]] = defaultdict(list)
        for version in self._versions("ORDER BY v.name, v.version DESC"):
            by_name[version.name].append(version)
        rows = self._reader.rows(
            "SELECT *, (SELECT json_group_object(key, value) FROM registered_model_tags t"
            " WHERE t.name = m.name) AS tags FROM registered_models m ORDER BY name"
        )
        return [
            RegisteredModel(
                row["name"],
                row["creation_timestamp"],
                row["last_updated_timestamp"],
                tuple(by_name[row["name"]]),
                row["description"],
                json.loads(row["tags"]),
            )
            for row in rows
        ]

    def get_version(self, name: str, version: int | str) -> ModelVersion:
        """Return a version by number, by ``latest``, or by ``@alias``."""
        self._sink.flush()
        if version == LATEST:
            found = self._versions("WHERE v.name = ? ORDER BY v.version DESC LIMIT 1", (name,))
        elif version in STAGES:
            found = self._versions(
                "WHERE v.name = ? AND v.current_stage = ? ORDER BY v.version DESC LIMIT 1",
                (name, version),
            )
        elif isinstance(version, str):
            found = self._versions(
                "JOIN model_aliases a USING (name, version) WHERE v.name = ? AND alias = ?",
                (name, version.removeprefix("@")),
            )
        else:
            found = self._versions("WHERE v.name = ? AND v.version = ?", (name, version))
        if found:
            return found[0]
        known = [
            str(row["name"]) for row in self._reader.rows("SELECT name FROM registered_models")
        ]
        if name not in known:
            raise NotFoundError(
                f"There is no registered model {name!r}.",
                hint=f"There is: {_some(known)}." if known else "Nothing is registered yet.",
            )
        versions = [str(v.version) for v in self._versions("WHERE v.name = ?", (name,))]
        raise NotFoundError(
            f"The registered model {name!r} has no version {version!r}.",
            hint=f"It has: {_some(versions)}.",
        )

    def locate_model(self, model_id: str) -> RunUri:
        """Return where the files of a model are."""
        self._sink.flush()
        rows = self._reader.rows(
            "SELECT run_id, artifact_path FROM models WHERE model_id IN (?, ?)",
            (model_id, model_id.removeprefix("m-")),
        )
        for row in rows:
            return RunUri(str(row["run_id"]), str(row["artifact_path"]))
        raise NotFoundError(f"There is no model with the id {model_id}.")

    def _versions(self, clause: str, args: tuple[object, ...] = ()) -> list[ModelVersion]:
        rows = self._reader.rows(
            "SELECT v.*, run_name, (SELECT json_group_array(alias) FROM model_aliases a2"
            " WHERE a2.name = v.name AND a2.version = v.version) AS aliases,"
            " (SELECT json_group_object(key, value) FROM model_version_tags t"
            " WHERE t.name = v.name AND t.version = v.version) AS tags"
            f" FROM model_versions v LEFT JOIN runs USING (run_id) {clause}",
            args,
        )
        return [
            ModelVersion(
                name=row["name"],
                version=row["version"],
                run_id=row["run_id"],
                run_name=row["run_name"],
                source=row["source"],
                creation_timestamp=row["creation_timestamp"],
                user_id=row["user_id"],
                aliases=tuple(json.loads(row["aliases"])),
                description=row["description"],
                current_stage=row["current_stage"],
                status=row["status"],
                run_link=row["run_link"],
                model_id=row["model_id"],
                last_updated_timestamp=row["last_updated_timestamp"],
                tags=json.loads(row["tags"]),
            )
            for row in rows
        ]


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")  # noqa: PLR2004 - as many as fit a line
