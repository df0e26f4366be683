"""Runs that are the same: same data, params and code as an earlier one of their experiment.

What makes a run is hashed into one tag. What earlier runs were made of is read once for each
experiment, in the thread of `later`; what this process makes is remembered besides.
"""

from __future__ import annotations

import hashlib
import json
import sys
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from nbtrack.db import Reader
from nbtrack.errors import NbtrackError
from nbtrack.provenance.cells import executions
from nbtrack.tracking import later
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


# By database and experiment: the first run of each identity, by id and name. Only the thread of
# `later` looks into it.
_first: dict[tuple[Place, str], dict[str, tuple[str, str]]] = {}


def look(run: ActiveRun) -> None:
    """Note what a run was made of, and have it told if an earlier run was made of the same.

    Nothing is waited for. A run is not compared whose data has no fingerprint, or whose code is
    not known. It is one that has ended: nothing is added to what it was made of.
    """
    if run.digests and all(digest for _, digest in run.digests):
        # Python takes the name away once the script is at its end.
        script = getattr(sys.modules.get("__main__"), "__file__", None)
        later.do("look for an identical run", partial(_answer, run, script))


def _answer(run: ActiveRun, script: str | None) -> None:
    identity = _identity(run, script)
    if identity is None:
        return
    run.set_tags({IDENTITY: identity})
    key = run.place, run.experiment_name
    if key not in _first:
        _first[key] = _read(*key)
    known = _first[key]
    run_id, name = known.setdefault(identity, (run.run_id, run.run_name))
    if run_id != run.run_id:
        run.set_tags({NOTICE: f"Same data, params and code as run {name} ({run_id[:8]})."})


def _read(place: Place, experiment: str) -> dict[str, tuple[str, str]]:
    """Return what the runs of an experiment were made of; of equal ones, the first one counts."""
    try:
        if isinstance(place, Path):
            rows = Reader(place).rows(_EARLIER, (experiment, IDENTITY))
            return {str(row["value"]): (row["run_id"], row["run_name"]) for row in rows}
        return _read_from_server(place, experiment)
    except NbtrackError:
        return {}  # there is no file yet, or it cannot be read: others tell of that


def _read_from_server(place: Place, name: str) -> dict[str, tuple[str, str]]:
    from nbtrack.tracking.workspace import open_workspace

    store = open_workspace(place).store
    experiment = store.get_experiment_by_name(name)
    if experiment is None:
        return {}
    table = store.run_table(RunQuery([experiment.experiment_id], max_results=-1))
    marks = table.tags.get(IDENTITY, [None] * len(table.run_ids))
    runs = zip(marks, table.run_ids, table.info["run_name"], strict=True)
    return {mark: (run_id, name) for mark, run_id, name in runs if mark is not None}


def _identity(run: ActiveRun, script: str | None) -> str | None:
    cells = reversed(executions)  # mostly it is the last one
    code = next((c.source for c in cells if c.execution_id == run.execution_id), None)
    if code is None:
        code = _text(script)
    if not code:
        return None
    facts = [
        run.tags.get("estimator_class", run.tags.get("nbtrack.autolog", "")),
        sorted(run.params.items()),
        run.digests,
        code,
    ]
    return hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


@lru_cache(maxsize=1)
def _text(path: str | None) -> str:
    """Return the text of the script that runs, as it is first seen; nothing where there is none."""
    try:
        return Path(path).read_text(errors="replace") if path else ""
    except (OSError, ValueError):
        return ""
