"""Small tables that a front end draws: curves, matrices, importances. No picture is made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbtrack.media.plain import encode_json

PLOTS = "plots"
"""The folder of a run that they are in."""
_UNSAFE = re.compile(r"[^\w.() +=@-]+")
_DEVICE = re.compile(r"(con|prn|aux|nul|com.|lpt.) *(\.|$)", re.IGNORECASE)  # to Windows


@dataclass(frozen=True, slots=True)
class Plot:
    """A few columns of numbers and texts, and what they are.

    Parameters
    ----------
    name
        What it is called; it becomes the file ``plots/<name>.json`` of the run.
    kind
        What is to be drawn: confusion_matrix, roc_curve, precision_recall_curve, calibration_curve,
        residuals, feature_importance, coefficients, loss_curve, folds, search.
    columns
        Lists or arrays of one length by name; down-sampled by whoever makes them.
    meta
        More about it: labels, areas, counts.

    Examples
    --------
    >>> plot = Plot("roc X/test", "roc_curve", {"fpr": [0, 1], "tpr": [0, 1]}, {"auc": 0.5})
    >>> plot.path
    'plots/roc X_test.json'
    >>> plot.encode()
    b'{"kind":"roc_curve","columns":{"fpr":[0,1],"tpr":[0,1]},"meta":{"auc":0.5}}'
    """

    name: str
    kind: str
    columns: Mapping[str, Sequence[Any]]
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where it is among the artifacts; characters that no path can have become ``_``."""
        name = _UNSAFE.sub("_", self.name).strip(" .") or "plot"
        return f"{PLOTS}/{'_' if _DEVICE.match(name) else ''}{name}.json"

    def encode(self) -> bytes:
        """Return the content of its file. NaN is null, infinities are texts: JSON has neither."""
        content = {"kind": self.kind, "columns": dict(self.columns), "meta": dict(self.meta)}
        return encode_json(content).encode()


def decode_plot(data: bytes) -> dict[str, Any] | None:
    """Return kind, columns and meta of a plot's file; None if it is none.

    Examples
    --------
    >>> decode_plot(Plot("folds", "folds", {"fold": [0, 1]}).encode())
    {'kind': 'folds', 'columns': {'fold': [0, 1]}, 'meta': {}}
    >>> decode_plot(b"[1]")
    """
    try:
        content = json.loads(data, parse_constant=str)
    except ValueError:
        return None
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        return None
    columns, meta = content.get("columns"), content.get("meta", {})
    if not isinstance(columns, dict) or not isinstance(meta, dict):
        return None
    if not all(isinstance(column, list) for column in columns.values()):
        return None
    if len({len(column) for column in columns.values()}) > 1:
        return None
    return {"kind": content["kind"], "columns": columns, "meta": meta}
