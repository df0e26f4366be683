"""Runs as pandas DataFrames. This module is imported only when a frame is asked for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nbtrack.types import RunTable

if TYPE_CHECKING:
    import pandas as pd

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,99})")
_FLOAT = re.compile(r"-?((0|[1-9][0-9]{0,99})(\.[0-9]*)?(e[+-]?[0-9]{1,4})?|inf|nan)")


def mlflow_frame(table: RunTable) -> pd.DataFrame:
    """Return runs with the columns that ``mlflow.search_runs`` has."""
    import pandas as pd

    info = defaultdict(list, table.info)
    columns: dict[str, Any] = {
        "run_id": table.run_ids,
        "experiment_id": info["experiment_id"],
        "status": [str(status) for status in info["status"]],
        "artifact_uri": [f"runs:/{run_id}" for run_id in table.run_ids],
        "start_time": _times(info["start_time"]),
        "end_time": _times(info["end_time"]),
    }
    columns |= {f"metrics.{key}": column for key, column in table.metrics.items()}
    columns |= {f"params.{key}": column for key, column in table.params.items()}
    columns |= {f"tags.{key}": column for key, column in table.tags.items()}
    return pd.DataFrame(columns)


def people_frame(table: RunTable) -> pd.DataFrame:
    """Return runs as a table to read: short names, numbers as numbers."""
    import pandas as pd

    info = defaultdict(list, table.info)
    spans = zip(info["start_time"], info["end_time"], strict=True)
    columns: dict[str, Any] = {
        "name": info["run_name"],
        "experiment": info["experiment_name"],
        "status": [str(status) for status in info["status"]],
        "started": _times(info["start_time"]),
        "duration_s": [None if end is None else (end - start) / 1000 for start, end in spans],
        "cell": pd.array(info["execution_count"], dtype="Int64"),
    }
    columns |= _free(columns, "metrics", table.metrics)
    params = {key: _numbers(texts) for key, texts in table.params.items()}
    columns |= _free(columns, "params", params)
    # MLflow's and our own bookkeeping is in `search_runs`.
    own = {k: v for k, v in table.tags.items() if not k.startswith(("mlflow.", "nbtrack."))}
    columns |= _free(columns, "tags", own)
    return pd.DataFrame(columns, index=pd.Index(table.run_ids, name="run_id"))


def _free(taken: Mapping[str, Any], kind: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns by names that no other column has."""
    columns: dict[str, Any] = {}
    for key, values in found.items():
        name = key
        while name in taken or (name != key and name in found):
            name = f"{kind}.{name}"
        columns[name] = values
    return columns


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
