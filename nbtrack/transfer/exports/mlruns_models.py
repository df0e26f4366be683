"""A registered model as files of MLflow's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.registry.base import check_name
from nbtrack.transfer.checks import check_id, later
from nbtrack.transfer.exports.folder import Folder, file_keys, read_yaml
from nbtrack.transfer.models import check_version
from nbtrack.transfer.report import MergedVersion, MergeReport
from nbtrack.transfer.sqlite import Row, Source

_META = "meta.yaml"
_VERSION = "version-"
_SAID = ("description", "current_stage", "status", "run_link")


def export_model(
    source: Source, target: Folder, report: MergeReport, name: str, runs: Collection[str]
) -> None:
    """Write the versions of a registered model that some runs have; nothing if there is none.

    Raises
    ------
    NbtrackError
        It cannot be written.
    """
    versions = [
        version
        for version in source.rows(
            "SELECT * FROM model_versions WHERE name = ? ORDER BY version", (name,)
        )
        if version["run_id"] in runs
    ]
    if not versions:
        return
    if check_name(name) in (".", "..") or "%" in name or "\\" in name:
        raise InvalidParameterError("MLflow's files cannot have its name.")
    for version in versions:
        check_version(version)
    exporting = _ModelExport(source, target, report, name)
    exporting.write(versions)


class _ModelExport:
    """A registered model on its way into a folder."""

    def __init__(self, source: Source, target: Folder, report: MergeReport, name: str) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._name = name
        self._place = target.root / "models" / name
        self._is_new = not (self._place / _META).exists()
        self._base = target.new() if self._is_new else self._place
        self._changed = False

    def write(self, versions: list[Row]) -> None:
        """Write these versions, and what is said of the model."""
        numbers = {version["version"]: self._put_version(version) for version in versions}
        self._put_tags(self._base / "tags", "registered_model_tags", None)
        aliases = {
            alias: str(numbers[version])
            for alias, version in self._source.rows(
                "SELECT alias, version FROM model_aliases WHERE name = ? ORDER BY alias",
                (self._name,),
            )
            if version in numbers
        }
        self._put_texts(self._base / "aliases", aliases, "alias")
        self._put_meta()
        if self._is_new:
            self._target.move(self._base, self._place)
        if self._changed:
            self._report.models.append(self._name)

    def _put_meta(self) -> None:
        row = self._source.row("SELECT * FROM registered_models WHERE name = ?", (self._name,))
        there = read_yaml(self._base / _META)
        if row is None:
            raise InvalidParameterError("It is not whole in the database.")
        aliases = {
            path.name: path.read_text(encoding="utf-8")
            for path in sorted((self._base / "aliases").glob("*"))
        }
        values = {
            "name": self._name,
            "creation_timestamp": row["creation_timestamp"],
            "last_updated_timestamp": row["last_updated_timestamp"],
            "description": row["description"] or None,
        }
        if there is not None and not later(
            _time(there.get("last_updated_timestamp")), row["last_updated_timestamp"]
        ):
            values = there
        self._put_yaml(self._base / _META, {**values, "aliases": aliases})

    def _put_version(self, version: Row) -> int:
        """Write a version; return its number in the folder."""
        values = {
            name: version[name]
            for name in ("name", "run_id", "source", "creation_timestamp", "user_id", "model_id")
        }
        values |= {name: version[name] or None for name in _SAID}
        created = version["creation_timestamp"]
        values["last_updated_timestamp"] = version["last_updated_timestamp"] or created
        values["storage_location"] = self._location(version)
        number, there = self._find(version)
        place = self._base / f"{_VERSION}{number}"
        if there is None:
            waiting = self._target.new()
            self._put_yaml(waiting / _META, {**values, "version": number})
            self._put_tags(waiting / "tags", "model_version_tags", version["version"])
            self._target.move(waiting, place)
            self._report.versions.append(MergedVersion(self._name, number, version["version"]))
            return number
        if later(_time(there.get("last_updated_timestamp")), values["last_updated_timestamp"]):
            news = {name: values[name] for name in (*_SAID, "last_updated_timestamp")}
            self._put_yaml(place / _META, {**there, **news})
        self._put_tags(place / "tags", "model_version_tags", version["version"])
        return number

    def _find(self, version: Row) -> tuple[int, dict[str, Any] | None]:
        """Return the number that a version has in the folder and what is there, or a free one."""
        identity = ("run_id", "source", "creation_timestamp")
        taken = [0]
        for place in self._base.glob(f"{_VERSION}*"):
            number = place.name.removeprefix(_VERSION)
            if number.isdecimal() and number.isascii():
                there = read_yaml(place / _META)
                if there and all(there.get(name) == version[name] for name in identity):
                    return int(number), there
                taken.append(int(number))
        wanted = int(version["version"])
        return (wanted if wanted not in taken else max(taken) + 1), None

    def _location(self, version: Row) -> str:
        """Return where MLflow finds the files of a version."""
        for model in self._source.rows(
            "SELECT model_id, artifact_path FROM models WHERE run_id = ?", (version["run_id"],)
        ):
            uri = f"runs:/{version['run_id']}/{model['artifact_path']}"
            if version["source"] == uri or model["model_id"] == version["model_id"]:
                model_id = check_id(model["model_id"])
                for place in self._target.root.glob(f"*/models/{model_id}/artifacts"):
                    return place.as_uri()
        return str(version["source"])

    def _put_tags(self, folder: Path, table: str, version: int | None) -> None:
        where, args = (
            ("", (self._name,)) if version is None else (" AND version = ?", (self._name, version))
        )
        rows = self._source.rows(f"SELECT key, value FROM {table} WHERE name = ?{where}", args)
        self._put_texts(folder, dict(map(tuple, rows)), "tag")

    def _put_texts(self, folder: Path, values: Mapping[str, str], what: str) -> None:
        kept, refused = file_keys(values)
        for key in kept:
            path, data = folder / key, values[key].encode()
            if not path.exists():
                self._target.put(path, data)
                self._changed = True
            elif path.read_bytes() != data:
                self._report.conflicts.append(
                    f"The {what} {key!r} of the model {self._name!r} differs in the folder: what is"
                    " there is kept."
                )
        for key in refused:
            self._report.problems.append(
                f"The {what} {key[:80]!r} of the model {self._name!r} was left out: MLflow's files "
                "have no place for it."
            )

    def _put_yaml(self, path: Path, values: Mapping[str, Any]) -> None:
        if read_yaml(path) != values:
            self._target.put_yaml(path, values)
            self._changed = True


def _time(value: Any) -> int | None:
    return value if isinstance(value, int) else None
