"""What goes into a model's directory whatever its flavor: what MLflow's functions take for all."""

from __future__ import annotations

import json
import shlex
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtrack.errors import InvalidParameterError
from nbtrack.models.example import Example
from nbtrack.models.flavors.base import Snapshot
from nbtrack.models.io import load_predictor, save_directory

if TYPE_CHECKING:
    from nbtrack.models.signature import ModelSignature

CODE = "code"
_Requirements = Iterable[str] | str | None


@dataclass(frozen=True)
class Extras:
    """Signature, example, environment, code and metadata, as the user gave them.

    Parameters
    ----------
    signature
        What the model takes and gives; False: it has none, also if there is an example.
    input_example
        An example of what it takes, or a tuple of one and of params. The model predicts for it
        once, to find the signature.
    pip_requirements
        Instead of what was found: requirements as pip has them, or the path of a file of them.
    extra_pip_requirements
        In addition to what was found.
    code_paths
        Files and folders that are put on ``sys.path`` where the model is loaded.
    metadata
        What is said about it in MLmodel.
    """

    signature: Any = None
    input_example: Any = None
    pip_requirements: _Requirements = None
    extra_pip_requirements: _Requirements = None
    code_paths: Sequence[str | Path] | None = None
    metadata: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Refuse what does not fit together, or cannot be kept.

        Raises
        ------
        InvalidParameterError
            It does not, or cannot.
        """
        if self.pip_requirements is not None and self.extra_pip_requirements is not None:
            raise InvalidParameterError(
                "pip_requirements and extra_pip_requirements were given.",
                hint="The first is instead of what is found, the second in addition: give one.",
            )
        if self.metadata is not None:
            try:
                json.dumps(self.metadata)
            except (TypeError, ValueError, RecursionError) as error:
                raise InvalidParameterError(
                    f"The metadata cannot be kept: {error}.", hint="Give what JSON can hold."
                ) from error

    def added_to(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot of the model with these.

        Raises
        ------
        InvalidParameterError
            A file cannot be read, or the example cannot be kept.
        """
        snapshot = self._described(snapshot)
        if self.pip_requirements is not None:
            snapshot = replace(snapshot, requirements=_requirements(self.pip_requirements))
        elif self.extra_pip_requirements is not None:
            more = _requirements(self.extra_pip_requirements)
            snapshot = replace(snapshot, requirements=(*snapshot.requirements, *more))
        if self.code_paths is not None:
            snapshot = _with_code(snapshot, self.code_paths)
        if self.metadata is not None:
            snapshot = replace(snapshot, metadata=dict(self.metadata))
        return snapshot

    def _described(self, snapshot: Snapshot) -> Snapshot:
        example = None if self.input_example is None else Example.of(self.input_example)
        if example is not None:
            snapshot = example.interface().added_to(snapshot)
        if self.signature is False:
            return replace(snapshot, signature=None, facts=None)
        if self.signature is not None:
            return replace(snapshot, signature=self.signature.to_dict(), facts=None)
        if example is None or snapshot.signature is not None:
            return snapshot
        inferred = _inferred(snapshot, example)
        return snapshot if inferred is None else replace(snapshot, signature=inferred.to_dict())


def _inferred(snapshot: Snapshot, example: Example) -> ModelSignature | None:
    """Return the signature that an example shows: the model is loaded, and predicts for it once."""
    from nbtrack.models.signature import infer_signature

    try:
        with tempfile.TemporaryDirectory(prefix="nbtrack-") as folder:
            directory = Path(folder) / "model"
            save_directory(snapshot, directory, model_id="")
            given = load_predictor(directory, trust=True).predict(example.data, example.params)
        return infer_signature(example.data, given, example.params)
    except Exception as error:  # noqa: BLE001 - whatever the user's own model raises
        warnings.warn(
            f"The model has no signature: it does not predict for the input example: {error!r}.",
            stacklevel=2,
        )
        return None


def _requirements(given: Iterable[str] | str) -> tuple[str, ...]:
    """Return requirements one by one; files of them are read."""
    if isinstance(given, str | Path):
        given = [f"-r {shlex.quote(str(given))}"]
    found: list[str] = []
    for line in given:
        text = str(line).split(" #")[0].strip()
        if text.startswith(("-r ", "--requirement ")):
            path = Path(shlex.split(text)[1])
            try:
                lines = path.read_text("utf-8").splitlines()
            except (OSError, ValueError) as error:
                raise InvalidParameterError(f"{str(path)!r} cannot be read: {error}.") from error
            found += _requirements(lines)
        elif text.startswith(("-c", "--constraint")):
            raise InvalidParameterError(
                f"The requirement {text!r} names a file that the model would not have.",
                hint="Give requirements with their versions.",
            )
        elif text and not text.startswith("#"):
            found.append(text)
    return tuple(found)


def _with_code(snapshot: Snapshot, paths: Sequence[str | Path]) -> Snapshot:
    files = dict(snapshot.files)
    for given in paths:
        path = Path(given)
        if not path.exists():
            raise InvalidParameterError(f"There is no {str(path)!r} to take along as code.")
        root = path.absolute().parent
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                name = file.absolute().relative_to(root).as_posix()
                files[f"{CODE}/{name}"] = file.read_bytes()
    return replace(
        snapshot,
        files=files,
        native={**snapshot.native, "code": CODE},
        pyfunc={**snapshot.pyfunc, "code": CODE},
    )
