"""Runs as pandas DataFrames. This module is imported only when a frame is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbtrack.types import Run

if TYPE_CHECKING:
    import pandas as pd

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,99})")
_FLOAT = re.compile(r"-?((0|[1-9][0-9]{0,99})(\.[0-9]*)?(e[+-]?[0-9]{1,4})?|inf|nan)")


def mlflow_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """Return runs with the columns that ``mlflow.search_runs`` has."""
    import pandas as pd

    infos = [run.info for run in runs]
    columns: dict[str, Any] = {
        "run_id": [info.run_id for info in infos],
        "run_name": [info.run_name for info in infos],
        "experiment_id": [info.experiment_id for info in infos],
        "status": [str(info.status) for info in infos],
        "artifact_uri": [info.artifact_uri for info in infos],
        "start_time": _times(info.start_time for info in infos),
        "end_time": _times(info.end_time for info in infos),
    }
    columns |= _spread("metrics.", [run.data.metrics for run in runs], missing=float("nan"))
    columns |= _spread("params.", [run.data.params for run in runs], missing=None)
    columns |= _spread("tags.", [run.data.tags for run in runs], missing=None)
    return pd.DataFrame(columns)


def people_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """Return runs as a table to read: short names, numbers as numbers."""
    import pandas as pd

    infos = [run.info for run in runs]
    durations = [info.duration_ms for info in infos]
    columns: dict[str, Any] = {
        "name": [info.run_name for info in infos],
        "experiment": [info.experiment_name for info in infos],
        "status": [str(info.status) for info in infos],
        "started": _times(info.start_time for info in infos),
        "duration_s": [None if ms is None else ms / 1000 for ms in durations],
        "cell": pd.array([run.execution_count for run in runs], dtype="Int64"),
    }
    columns |= _free(columns, "metrics", [run.data.metrics for run in runs], float("nan"))
    columns |= {
        key: _numbers(values)
        for key, values in _free(columns, "params", [run.data.params for run in runs], None).items()
    }
    own = [_own_tags(run.data.tags) for run in runs]
    columns |= _free(columns, "tags", own, None)
    index = pd.Index([info.run_id for info in infos], name="run_id")
    return pd.DataFrame(columns, index=index)


def _spread(
    prefix: str, rows: Sequence[Mapping[str, Any]], *, missing: float | None
) -> dict[str, list[Any]]:
    keys = sorted({key for row in rows for key in row})
    return {f"{prefix}{key}": [row.get(key, missing) for row in rows] for key in keys}


def _free(
    taken: Mapping[str, Any], kind: str, rows: Sequence[Mapping[str, Any]], missing: float | None
) -> dict[str, list[Any]]:
    spread = _spread("", rows, missing=missing)
    columns: dict[str, list[Any]] = {}
    for key, values in spread.items():
        name = key
        while name in taken or (name != key and name in spread):
            name = f"{kind}.{name}"
        columns[name] = values
    return columns


def _own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    # MLflow's and our own bookkeeping is in `search_runs`.
    return {key: tag for key, tag in tags.items() if not key.startswith(("mlflow.", "nbtrack."))}


def _numbers(texts: list[str | None]) -> list[Any]:
    """Return the numbers that texts are, if all of them are some; else the texts."""
    try:
        return [None if text is None else _number(text) for text in texts]
    except ValueError:
        return list(texts)


def _number(text: str) -> float | int:
    # Python reads more: blanks, 1_000, digits of any script. 007 is a name, not a number.
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    raise ValueError(text)


def _times(times: Iterable[int | None]) -> pd.DatetimeIndex:
    import pandas as pd

    whole = pd.array(list(times), dtype="Int64")
    return pd.DatetimeIndex(pd.to_datetime(whole, unit="ms", utc=True))
