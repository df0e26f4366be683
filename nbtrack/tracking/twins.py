"""Runs that are the same: same data, params and code as an earlier one of their experiment.

What makes a run is hashed into one tag. What earlier runs were made of is read once for each
experiment, in a thread of its own; what this process makes is remembered besides.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from nbtrack.db import Reader
from nbtrack.errors import NbtrackError
from nbtrack.provenance.cells import executions
from nbtrack.tracking import notices
from nbtrack.tracking.location import Place
from nbtrack.types import RunQuery

if TYPE_CHECKING:
    from nbtrack.tracking.run import ActiveRun

IDENTITY = "nbtrack.identity"
NOTICE = "nbtrack.notice.identical_run"
_EARLIER = (
    "SELECT value, run_id, run_name FROM experiments JOIN runs USING (experiment_id)"
    " JOIN tags USING (run_no) WHERE name = ? AND key = ? AND runs.lifecycle_stage = 'active'"
    " ORDER BY start_time DESC"
)


class _Experiment:
    """What the runs of one experiment were made of: the first run by identity."""

    def __init__(self, place: Place, name: str) -> None:
        self._place, self._name = place, name
        self._lock = threading.Lock()
        self._first: dict[str, tuple[str, str]] = {}  # id and name of the run
        self._asking: list[tuple[str, ActiveRun]] = []  # until all is read
        self._state = "new"

    def ask(self, identity: str, run: ActiveRun) -> None:
        """Answer by a notice of the run, now or when all is read."""
        with self._lock:
            state = self._state
            if state == "new":
                self._state = "reading"
            if state != "ready":
                self._asking.append((identity, run))
        if state == "new":
            threading.Thread(target=self._read, name="nbtrack-twins", daemon=True).start()
        elif state == "ready":
            self._answer(identity, run)

    def _read(self) -> None:
        try:
            earlier = self._earlier()
        except NbtrackError:
            earlier = {}  # there is no file yet, or it cannot be read: others tell of that
        with self._lock:
            self._state, asking = "ready", self._asking
            mine = {run.run_id for _, run in asking}  # they may be stored already
            self._first = {k: first for k, first in earlier.items() if first[0] not in mine}
        for identity, run in asking:
            self._answer(identity, run)

    def _earlier(self) -> dict[str, tuple[str, str]]:
        """Return id and name of the first run of each kind that is stored."""
        if isinstance(self._place, Path):
            rows = Reader(self._place).rows(_EARLIER, (self._name, IDENTITY))
            return {str(row["value"]): (row["run_id"], row["run_name"]) for row in rows}
        from nbtrack.tracking.workspace import open_workspace

        store = open_workspace(self._place).store
        experiment = store.get_experiment_by_name(self._name)
        if experiment is None:
            return {}
        table = store.run_table(RunQuery([experiment.experiment_id], max_results=-1))
        marks = table.tags.get(IDENTITY, [None] * len(table.run_ids))
        runs = zip(marks, table.run_ids, table.info["run_name"], strict=True)
        return {mark: (run_id, name) for mark, run_id, name in runs if mark is not None}

    def _answer(self, identity: str, run: ActiveRun) -> None:
        with self._lock:
            run_id, name = self._first.setdefault(identity, (run.run_id, run.run_name))
        if run_id != run.run_id:
            run.set_tags({NOTICE: f"Same data, params and code as run {name} ({run_id[:8]})."})


_experiments: dict[tuple[Place, str], _Experiment] = {}


def look(run: ActiveRun) -> None:
    """Note what a run was made of, and have it told if an earlier run was made of the same.

    Nothing is waited for. A run is not compared whose data has no fingerprint, or whose code is
    not known.
    """
    identity = _identity(run)
    if identity is None:
        return
    run.set_tags({IDENTITY: identity})
    key = (run.place, run.experiment_name)
    try:
        _experiments.setdefault(key, _Experiment(*key)).ask(identity, run)
    except RuntimeError as error:  # no thread can be had: the process is at its end
        notices.warn(f"Identical runs are not looked for: {error}", cause="twins")


def _identity(run: ActiveRun) -> str | None:
    if not run.digests or not all(digest for _, digest in run.digests):
        return None
    cells = reversed(executions)  # mostly it is the last one
    code = next((c.source for c in cells if c.execution_id == run.execution_id), None)
    if code is None:
        code = _script()
    if not code:
        return None
    facts = [
        run.tags.get("estimator_class", run.tags.get("nbtrack.autolog", "")),
        sorted(run.params.items()),
        run.digests,
        code,
    ]
    return hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _script() -> str:
    """Return the text of the script that runs, or nothing where there is none."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    try:
        return Path(path).read_text(errors="replace") if path else ""
    except (OSError, ValueError):
        return ""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_experiments.clear)  # its threads are the parent's
