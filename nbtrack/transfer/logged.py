"""Logged models of a run, and those that it used or made, on their way from one file to another.

A model is the same one in both files if its id, its run and its path are the same. Params are
logged once; of tags, state, name and kind those of the later change count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nbtrack.artifacts.digest import check_path
from nbtrack.db import Connection
from nbtrack.store.words import MODEL_STATUSES, ROLES
from nbtrack.transfer.checks import (
    check_id,
    check_times,
    check_word,
    later,
    settled,
)
from nbtrack.transfer.sqlite import Row, Source

_CHANGING = ("name", "model_type", "status", "last_updated_ms")
_MODEL = (
    f"model_id, artifact_path, flavor, model_class, size_bytes, created_ms, {', '.join(_CHANGING)}"
)


def models_of(source: Source, run_id: str) -> Iterable[Row]:
    """Return the models of a run, each checked."""
    rows = source.rows(f"SELECT {_MODEL} FROM models WHERE run_id = ? ORDER BY rowid", (run_id,))
    for model in rows:
        check_id(model["model_id"])
        check_path(model["artifact_path"])
        check_times(model["created_ms"], model["last_updated_ms"])
        check_word(model["status"], MODEL_STATUSES)
        yield model


def put_model(source: Source, conn: Connection, run_id: str, model: Row) -> None:
    """Add a model that is not there, with its params and tags."""
    marks = ", ".join("?" * (len(model) + 1))
    conn.execute(f"INSERT INTO models (run_id, {_MODEL}) VALUES ({marks})", (run_id, *model))
    for table in ("logged_model_params", "logged_model_tags"):
        _put_values(conn, table, model["model_id"], _values(source.rows, table, model["model_id"]))


def update_model(source: Source, conn: Connection, model: Row) -> tuple[bool, list[str]]:
    """Give a model that is there what it lacks, and what is later.

    Returns
    -------
    bool, list
        Whether anything changed; in what the two differ without one being later.
    """
    model_id = model["model_id"]
    row = conn.execute(
        f"SELECT {', '.join(_CHANGING)} FROM models WHERE model_id = ?", (model_id,)
    ).fetchone()
    ours = dict(zip(_CHANGING, row, strict=True))
    theirs = {name: model[name] for name in _CHANGING}
    is_later = later(ours.pop("last_updated_ms"), theirs["last_updated_ms"])
    if not is_later:
        del theirs["last_updated_ms"]
    gets, conflicts = settled(ours, theirs, is_later)
    if gets:
        conn.execute(
            f"UPDATE models SET {', '.join(f'{name} = :{name}' for name in gets)}"
            " WHERE model_id = :model_id",
            {**gets, "model_id": model_id},
        )
    changed = bool(gets)
    for table, what, wins in (
        ("logged_model_params", "param", None),
        ("logged_model_tags", "tag", is_later),
    ):
        gets, differ = settled(
            _values(conn.execute, table, model_id), _values(source.rows, table, model_id), wins
        )
        _put_values(conn, table, model_id, gets)
        changed |= bool(gets)
        conflicts += [f"{what} {key!r}" for key in differ]
    return changed, [f"{what} of the model {model_id}" for what in conflicts]


def bring_uses(source: Source, conn: Connection, run_id: str) -> tuple[bool, list[str]]:
    """Add the models that a run used or made, where they are not known yet.

    Returns
    -------
    bool, list
        Whether there was one; those that are known with another step.
    """
    added, conflicts = False, []
    for model_id, role, step in source.rows(
        "SELECT model_id, role, step FROM run_models WHERE run_id = ? ORDER BY model_id, role",
        (run_id,),
    ):
        key = (run_id, check_id(model_id), check_word(role, ROLES))
        found = conn.execute(
            "SELECT step FROM run_models WHERE (run_id, model_id, role) = (?, ?, ?)", key
        ).fetchone()
        if found is None:
            conn.execute(
                "INSERT INTO run_models (run_id, model_id, role, step) VALUES (?, ?, ?, ?)",
                (*key, step),
            )
            added = True
        elif found[0] != step:
            conflicts.append(f"step of the {role} model {model_id}")
    return added, conflicts


def _values(execute: Any, table: str, model_id: str) -> dict[str, str]:
    return dict(
        execute(f"SELECT key, value FROM {table} WHERE model_id = ? ORDER BY key", (model_id,))
    )


def _put_values(conn: Connection, table: str, model_id: str, values: dict[str, str]) -> None:
    conn.executemany(
        f"INSERT INTO {table} (model_id, key, value) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET value = excluded.value",
        [(model_id, *pair) for pair in values.items()],
    )
