"""Models to files, and back."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError, NotFoundError, UntrustedModelError
from nbtrack.models import mlmodel, seal
from nbtrack.models.flavors import (
    Flavor,
    Predictor,
    Snapshot,
    flavor_by_entry,
    flavor_by_loader,
    flavor_names,
)
from nbtrack.models.flavors.base import file_of


def write_files(
    snapshot: Snapshot, *, run_id: str, artifact_path: str, model_id: str, sealed: bool = True
) -> dict[str, bytes]:
    """Return all files of a model's directory, by path below the run's artifacts.

    Parameters
    ----------
    run_id, artifact_path
        Empty: the model is saved outside of a run, and the paths are those in its directory.
    sealed
        Say that this user saved them.
    """
    files = {
        mlmodel.FILE: mlmodel.describe(
            snapshot, run_id=run_id, artifact_path=artifact_path, model_id=model_id
        ),
        **mlmodel.environment_files(snapshot),
        **snapshot.files,
    }
    if sealed:
        files |= seal.seal(files)
    return {f"{artifact_path}/{name}".lstrip("/"): data for name, data in files.items()}


def save_directory(snapshot: Snapshot, directory: Path, *, model_id: str) -> None:
    """Write a model's directory.

    Raises
    ------
    InvalidParameterError
        There is something already, or it cannot be written.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InvalidParameterError(
            f"The model cannot be saved to {str(directory)!r}: there is something already.",
            hint="Give another path, or remove it.",
        )
    try:
        for name, data in write_files(
            snapshot, run_id="", artifact_path="", model_id=model_id
        ).items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise InvalidParameterError(
            f"The model cannot be saved to {str(directory)!r}: {error.strerror}."
        ) from error


def load_directory(directory: Path, *, trust: bool = False, called: str = "") -> object:
    """Return the model of a directory.

    Parameters
    ----------
    directory
        Has an MLmodel file.
    trust
        Load it although this user did not save it: loading may run code from its files.
    called
        How the user named the model, for messages.

    Raises
    ------
    UntrustedModelError
        Loading would run code; the model is none of this user's, or was changed, and `trust` was
        not given.
    NotFoundError, InvalidParameterError
        The directory is no model, or has no flavor that nbtrack knows.
    """
    called = called or str(directory)
    entries = mlmodel.read(directory)["flavors"]
    flavor, native = _flavor(entries, called)
    _check_trust(directory, flavor, native, trust, called)
    _put_on_path(directory, native)
    return flavor.load(directory, native)


def load_predictor(
    directory: Path,
    *,
    trust: bool = False,
    called: str = "",
    model_config: Mapping[str, Any] | None = None,
) -> Predictor:
    """Return what predicts with the model of a directory, as MLflow's ``pyfunc`` does.

    Parameters
    ----------
    directory, trust, called
        As of `load_directory`.
    model_config
        Settings for a custom model, over those that it was saved with.

    Raises
    ------
    UntrustedModelError, NotFoundError, InvalidParameterError
        As of `load_directory`.
    """
    called = called or str(directory)
    entries = mlmodel.read(directory)["flavors"]
    pyfunc = entries.get(mlmodel.PYFUNC)
    pyfunc = pyfunc if isinstance(pyfunc, dict) else {}
    by_loader = flavor_by_loader(pyfunc.get("loader_module"))
    if by_loader is None:
        flavor, native = _flavor(entries, called)
    else:
        flavor = by_loader
        native = next((entries[n] for n in flavor.NAMES if isinstance(entries.get(n), dict)), {})
    code = native.get("code") or pyfunc.get("code")
    _check_trust(directory, flavor, {**native, "code": code}, trust, called)
    _put_on_path(directory, {"code": code})
    if model_config is not None:
        saved = pyfunc.get("config")
        pyfunc = {
            **pyfunc,
            "config": {**(saved if isinstance(saved, dict) else {}), **model_config},
        }
    return flavor.predictor(directory, pyfunc, native)


def needs_its_files(directory: Path) -> bool:
    """Whether a model reads files of its directory after it was loaded: code, or artifacts."""
    entries = mlmodel.read(directory)["flavors"].values()
    return any(isinstance(e, dict) and (e.get("code") or e.get("artifacts")) for e in entries)


def _put_on_path(directory: Path, native: Mapping[str, Any]) -> None:
    if native.get("code") is not None:
        path = str(file_of(directory, native["code"]).resolve())
        if path not in sys.path:
            sys.path.insert(0, path)


def _flavor(entries: Mapping[str, Any], called: str) -> tuple[Flavor, Mapping[str, Any]]:
    found = flavor_by_entry(entries)
    if found is not None:
        return found
    pyfunc = entries.get(mlmodel.PYFUNC)
    loader = flavor_by_loader(pyfunc.get("loader_module")) if isinstance(pyfunc, dict) else None
    if loader is not None and isinstance(pyfunc, dict):
        return loader, pyfunc if mlmodel.PYFUNC in loader.NAMES else {}
    raise NotFoundError(
        f"The model {called} has the flavors {', '.join(map(str, entries))}; nbtrack loads "
        f"{', '.join(sorted(flavor_names()))}."
    )


def _check_trust(
    directory: Path, flavor: Flavor, native: Mapping[str, Any], trust: bool, called: str
) -> None:
    code = flavor.runs_code(directory, native)
    if native.get("code") is not None:
        code = "a model with code of its own"
    if trust or code is None:
        return
    if reason := seal.problem(directory):
        raise UntrustedModelError(
            f"The model {called} was not loaded: {reason}, and it is {code}: loading it can run "
            "any code.",
            hint="If you know where it comes from: nbtrack.load_model(..., trust=True).",
        )
