"""The cases in which files have to be as MLflow's, and the script that asks MLflow.

Run it where mlflow is installed: ``python tests/media/record_mlflow.py``. It writes
``mlflow_media.json`` beside itself; the tests read that, and need no mlflow.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import logging
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RECORDED = Path(__file__).with_name("mlflow_media.json")
RAMP = np.linspace(0, 1, 24)

IMAGES: dict[str, Callable[[], Any]] = {
    "gray": lambda: np.arange(24, dtype="uint8").reshape(4, 6),
    "gray, one channel": lambda: np.arange(24, dtype="uint8").reshape(4, 6, 1),
    "rgb": lambda: np.arange(72, dtype="uint8").reshape(4, 6, 3),
    "rgba": lambda: np.arange(96, dtype="uint8").reshape(4, 6, 4),
    "wide integers": lambda: np.arange(24, dtype="int64").reshape(4, 6),
    "floats": lambda: RAMP.reshape(4, 6),
    "half floats": lambda: RAMP.reshape(4, 6).astype("f4"),
    "floats beyond": lambda: RAMP.reshape(4, 6) * 3 - 1,
    "mask": lambda: RAMP.reshape(4, 6) > 0.5,
    "integers beyond": lambda: np.full((2, 2), 256),
    "negative": lambda: np.full((2, 2), -1),
    "complex": lambda: np.zeros((2, 2), complex),
    "text": lambda: np.array([["a"]]),
    "one axis": lambda: RAMP,
    "four axes": lambda: np.zeros((1, 2, 2, 3)),
    "two channels": lambda: np.zeros((2, 2, 2)),
    "channels first": lambda: np.zeros((3, 8, 8)),
    "a list": lambda: [[0, 1], [1, 0]],
    "nothing": lambda: None,
    "large": lambda: np.zeros((300, 600, 3), "uint8"),
    "high": lambda: np.zeros((512, 16), "uint8"),
}
KEYS = ["dogs", "val/dogs 1", "a.b-c_d", "umlaut ä", "plus+", "", "a#b", "../x"]

DICTS: dict[str, tuple[Any, str]] = {
    "json": ({"k": "v", "n": [1, 2.5, None, True], "d": {"x": "ä"}}, "a.json"),
    "no extension": ({"k": "v"}, "a"),
    "other extension": ({"k": "v"}, "a.txt"),
    "yaml": ({"k": "v", "n": [1, 2.5, None, True], "d": {"x": "ä"}}, "a.yaml"),
    "yml": ({"b": 1, "a": [{"x": 1}]}, "dir/a.yml"),
    "numbers as keys": ({1: "a", 2.5: "b", None: "c", False: "d"}, "a.json"),
    "nan": ({"x": float("nan"), "y": float("inf")}, "a.json"),
    "list": ([1, {"a": []}], "a.json"),
    "dates in yaml": ({"d": datetime.date(2024, 1, 2)}, "a.yaml"),
    "path": ({"p": Path("a/b")}, "a.json"),
    "complex": ({"c": 1j}, "a.json"),
}

DAY = pd.Timestamp("2024-02-03 04:05:06.789")
TABLES: dict[str, list[Callable[[], Any]]] = {
    "lists": [lambda: {"x": [1, 2], "y": ["a", "b"], "z": [0.5, 1.0]}],
    "scalars": [lambda: {"x": 1, "y": "a"}],
    "frame": [lambda: pd.DataFrame({"x": [1, 2], "y": ["a", None]}, index=[5, 6])],
    "holes": [lambda: {"x": [1.5, None, float("nan")], "y": [None, True, False]}],
    "appended": [lambda: {"x": [1]}, lambda: {"x": [2]}, lambda: {"x": [3]}],
    "appended, other columns": [lambda: {"x": [1], "y": ["a"]}, lambda: {"z": [0.5], "y": ["b"]}],
    "dates": [lambda: pd.DataFrame({"date": [DAY, DAY], "when": [DAY, pd.NaT]})],
    "dates with zone": [lambda: pd.DataFrame({"date": [DAY.tz_localize("Europe/Berlin")]})],
    "lists in cells": [lambda: {"x": [[1, 2], []], "y": [{"a": 1}, {"b": None}]}],
    "numbers as names": [lambda: pd.DataFrame({0: [1], 1: [2]})],
    "category": [lambda: pd.DataFrame({"x": pd.Categorical(["u", "v"])})],
    "durations": [lambda: pd.DataFrame({"x": pd.to_timedelta(["1s", None])})],
    "no rows": [lambda: {"x": [], "y": []}],
    "unicode": [lambda: {"x": ['ä/\u2028 \\ " </script>']}],
    "lengths that differ": [lambda: {"x": [1], "y": [1, 2]}],
    "a list": [lambda: [1, 2]],
}


def pixels(data: bytes) -> dict[str, Any]:
    """Return what is seen in an image file."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        digest = hashlib.sha256(image.tobytes()).hexdigest()
        return {"mode": image.mode, "size": list(image.size), "pixels": digest}


def main() -> None:
    import mlflow

    logging.disable()
    warnings.simplefilter("ignore")
    home = Path(tempfile.mkdtemp())
    mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("media", artifact_location=(home / "files").as_uri())

    def logged(log: Callable[[str], Any]) -> dict[str, bytes] | None:
        run = client.create_run(experiment).info.run_id
        try:
            log(run)
        except Exception:
            return None
        root = home / "files" / run / "artifacts"
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }

    recorded: dict[str, Any] = {"mlflow": mlflow.__version__}
    recorded["dicts"] = {}
    for name, (value, path) in DICTS.items():
        found = logged(lambda run, v=value, p=path: client.log_dict(run, v, p))
        recorded["dicts"][name] = found and found[path].decode()
    recorded["images"], recorded["previews"] = {}, {}
    for name, make in IMAGES.items():
        found = logged(lambda run, m=make: client.log_image(run, m(), "a.png"))
        recorded["images"][name] = found and pixels(found["a.png"])
        found = logged(lambda run, m=make: client.log_image(run, m(), key="k", step=1))
        seen = found and {Path(path).suffix: pixels(data) for path, data in found.items()}
        recorded["previews"][name] = seen and {s: [p["mode"], p["size"]] for s, p in seen.items()}
    recorded["keys"] = {}
    image = IMAGES["gray"]()
    for key in KEYS:
        found = logged(
            lambda run, k=key: client.log_image(run, image, key=k, step=7, timestamp=1700000000000)
        )
        names = found and sorted(re.sub(r"[0-9a-f-]{36}", "UUID", path) for path in found)
        recorded["keys"][key] = names
    recorded["tables"] = {}
    for name, steps in TABLES.items():
        found = logged(lambda run, s=steps: [client.log_table(run, make(), "t.json") for make in s])
        recorded["tables"][name] = found and found["t.json"].decode()
    RECORDED.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
