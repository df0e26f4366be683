"""The ``MLmodel`` file and the environment files beside it, as MLflow writes and reads them."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.models.flavors.base import Snapshot

FILE = "MLmodel"
PYFUNC = "python_function"
_MAX_BYTES = 10 * 2**20


def describe(snapshot: Snapshot, *, run_id: str, artifact_path: str, model_id: str) -> bytes:
    """Return the text of the MLmodel file of a snapshot."""
    return _dump(
        content_of(snapshot, run_id=run_id, artifact_path=artifact_path, model_id=model_id)
    )


def content_of(
    snapshot: Snapshot, *, run_id: str, artifact_path: str, model_id: str
) -> dict[str, Any]:
    """Return what the MLmodel file of a snapshot says.

    Parameters
    ----------
    run_id, artifact_path
        Empty: it is saved outside of a run.
    """
    now = datetime.datetime.now(datetime.UTC)
    python_function = {
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "python_version": platform.python_version(),
        **snapshot.pyfunc,
    }
    flavors = {PYFUNC: python_function}
    if snapshot.flavor != PYFUNC:
        flavors[snapshot.flavor] = dict(snapshot.native)
    told: dict[str, Any] = {}
    if snapshot.example is not None:
        told["saved_input_example_info"] = dict(snapshot.example)
    if snapshot.signature is not None:
        told["signature"] = {"inputs": None, "outputs": None, "params": None, **snapshot.signature}
    if snapshot.metadata is not None:
        told["metadata"] = dict(snapshot.metadata)
    place = {"artifact_path": artifact_path} if artifact_path else {}
    return {
        **place,
        "flavors": flavors,
        "model_size_bytes": snapshot.size_bytes,
        "model_uuid": model_id,
        **({"run_id": run_id} if run_id else {}),
        **told,
        **(snapshot.facts or {}),
        "utc_time_created": now.strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


def environment_files(snapshot: Snapshot) -> dict[str, bytes]:
    """Return requirements.txt, python_env.yaml and conda.yaml."""
    python = platform.python_version()
    requirements = [*snapshot.requirements]
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": requirements}],
    }
    env = {
        "python": python,
        "build_dependencies": ["pip"],
        "dependencies": ["-r requirements.txt"],
    }
    return {
        "requirements.txt": "".join(f"{line}\n" for line in requirements).encode(),
        "python_env.yaml": _dump(env),
        "conda.yaml": _dump(conda),
    }


def read(directory: Path) -> Mapping[str, Any]:
    """Return the content of a directory's MLmodel file; nothing in it is executed.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is no MLmodel file; it is no YAML mapping with flavors.
    """
    import yaml

    path = directory / FILE
    if not path.is_file():
        raise NotFoundError(
            f"{directory} is no model: it has no {FILE} file.",
            hint="Give the directory of a model, for example runs:/<run id>/model.",
        )
    if path.stat().st_size > _MAX_BYTES:
        raise InvalidParameterError(f"{path} is too large to be an {FILE} file.")
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: no UTF-8, or a date or number that only looks like one.
        raise InvalidParameterError(f"{path} cannot be read: {error}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("flavors"), dict):
        raise InvalidParameterError(f"{path} names no flavors.")
    return content


def _dump(content: Mapping[str, Any]) -> bytes:
    import yaml

    # libyaml's, where it is there: the same text in a tenth of the time.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(content, Dumper=dumper, sort_keys=False, allow_unicode=True)
    return text.encode()
