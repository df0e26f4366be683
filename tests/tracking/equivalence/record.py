"""Record what MLflow does with the scripts: ``python record.py`` where mlflow 3 is installed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import mlflow
import mlflow.artifacts
import mlflow.data
import mlflow.entities

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from scripts import SCRIPTS  # noqa: E402


def main() -> None:
    """Write recorded.json."""
    home = Path(tempfile.mkdtemp())
    mlflow.set_tracking_uri(f"sqlite:///{home}/empty.db")
    mlflow.search_experiments()  # brings its tables up to date, which takes a while: once
    found = {}
    for name, script in SCRIPTS.items():
        folder = home / name
        (folder / "work").mkdir(parents=True)
        os.chdir(folder)
        shutil.copy(home / "empty.db", folder / "mlflow.db")
        for variable in [key for key in os.environ if key.startswith("MLFLOW_")]:
            del os.environ[variable]
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        mlflow.tracking.fluent._active_experiment_id = None
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        found[name] = script(mlflow, folder / "work")
        while mlflow.active_run():
            mlflow.end_run()
        print(name, "done", file=sys.stderr)
    recorded = {"mlflow": mlflow.__version__, "found": found}
    (HERE / "recorded.json").write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
