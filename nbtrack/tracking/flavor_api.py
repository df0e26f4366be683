"""What ``nbtrack.<flavor>.log_model``, ``save_model`` and ``load_model`` do, for every flavor."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.models import Extras, Model, Snapshot, mlmodel, save_directory, take_snapshot
from nbtrack.settings import settings
from nbtrack.tracking import later
from nbtrack.tracking.fluent import default_client, run_to_log_to
from nbtrack.tracking.names import new_id
from nbtrack.tracking.run import MODEL_PATH

_MB = 2**20
_EXTRAS = tuple(field.name for field in fields(Extras))


def log_model(flavor: str, model: object, given: Mapping[str, Any]) -> Model:
    """Keep a model with the active run, or with one that begins now.

    Parameters
    ----------
    flavor
        Name of the flavor.
    given
        The arguments of the flavor's ``log_model``, by their names in MLflow: ``name`` (or
        ``artifact_path``), ``registered_model_name``, ``await_registration_for``, those of
        `Extras`, and the flavor's own.

    Returns
    -------
    Model
        Its ``model_uri`` loads it.

    Raises
    ------
    ModelTooLargeError
        It takes more than the setting ``max_model_mb``.
    InvalidParameterError, NotFoundError
        An argument cannot be used.
    """
    options = dict(given)
    path = _place(options.pop("name", None), options.pop("artifact_path", None))
    registered = options.pop("registered_model_name", None)
    wait = options.pop("await_registration_for", 0)
    snapshot = _snapshot(flavor, model, options, max_bytes=settings.max_model_mb * _MB)
    run = run_to_log_to()
    info = run.log_state(snapshot, path, registered_model_name=registered)
    if registered is not None and wait:
        later.wait(wait)
    content = mlmodel.content_of(
        snapshot, run_id=run.run_id, artifact_path=path, model_id=info.model_id
    )
    return Model.of(content, f"runs:/{run.run_id}/{path}")


def save_model(flavor: str, model: object, path: str | Path, given: Mapping[str, Any]) -> None:
    """Write a model's directory.

    Parameters
    ----------
    path
        The directory: it is made, or is empty.
    given
        The arguments of the flavor's ``save_model``, by their names in MLflow.

    Raises
    ------
    InvalidParameterError
        An argument cannot be used, or there is something already.
    """
    snapshot = _snapshot(flavor, model, dict(given), max_bytes=sys.maxsize)
    save_directory(snapshot, Path(path), model_id=new_id())


def load_model(
    model_uri: str, dst_path: str | Path | None = None, *, trust: bool = False
) -> object:
    """Return a model as its library has it.

    Parameters
    ----------
    model_uri
        As of `nbtrack.load_model`.
    dst_path
        A folder that its files are copied to; they stay there.
    trust
        Load it although it was not saved by this user on this machine.

    Raises
    ------
    NotFoundError, InvalidParameterError, UntrustedModelError
        As of `nbtrack.load_model`.
    """
    return default_client().load_model(str(model_uri), dst_path=dst_path, trust=trust)


def _place(name: str | None, artifact_path: str | None) -> str:
    if name is not None and artifact_path is not None and name != artifact_path:
        raise InvalidParameterError(
            f"The model has two names: name={name!r} and artifact_path={artifact_path!r}.",
            hint="Give name only.",
        )
    return name or artifact_path or MODEL_PATH


def _snapshot(flavor: str, model: object, given: dict[str, Any], *, max_bytes: int) -> Snapshot:
    extras = Extras(**{name: given.pop(name) for name in _EXTRAS if name in given})
    return extras.added_to(take_snapshot(model, flavor, max_bytes=max_bytes, **given))
