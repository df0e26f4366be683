"""Models to files, and back."""

from __future__ import annotations

from pathlib import Path

from nbtrack.errors import NotFoundError, UntrustedModelError
from nbtrack.models import mlmodel, seal
from nbtrack.models.flavors import Snapshot, flavor_names, get_flavor


def write_files(
    snapshot: Snapshot, *, run_id: str, artifact_path: str, model_id: str, sealed: bool = True
) -> dict[str, bytes]:
    """Return all files of a model's directory, by path below the run's artifacts.

    Parameters
    ----------
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
    return {f"{artifact_path}/{name}": data for name, data in files.items()}


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
        The model is none of this user's, or was changed, and `trust` was not given.
    NotFoundError, InvalidParameterError
        The directory is no model, or has no flavor that nbtrack knows.
    """
    flavors = mlmodel.read(directory)["flavors"]
    name = next((name for name in flavor_names() if name in flavors), None)
    called = called or str(directory)
    if name is None:
        raise NotFoundError(
            f"The model {called} has the flavors {', '.join(map(str, flavors))}; nbtrack loads "
            f"{', '.join(flavor_names())}."
        )
    if not trust and (reason := seal.problem(directory)):
        raise UntrustedModelError(
            f"The model {called} was not loaded: {reason}, and loading it can run any code.",
            hint="If you know where it comes from: nbtrack.load_model(..., trust=True).",
        )
    native = flavors[name] if isinstance(flavors[name], dict) else {}
    return get_flavor(name).load(directory, native)
