"""Models of runs: registered, and loaded."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nbtrack.addresses import scheme_of
from nbtrack.artifacts import fsspec
from nbtrack.errors import InvalidParameterError
from nbtrack.models import load_directory, mlmodel
from nbtrack.models.io import needs_its_files
from nbtrack.registry import RunUri, parse
from nbtrack.tracking.client.artifacts import Artifacts
from nbtrack.tracking.paths import AnyPath
from nbtrack.tracking.run import MODEL_PATH
from nbtrack.types import ModelVersion, RegisteredModel


class Models(Artifacts):
    """The models of a database."""

    def register_model(
        self, model_uri: str, name: str, *, artifact_path: str = MODEL_PATH
    ) -> ModelVersion:
        """Make the next version of a registered model; the name is made if it is new.

        Parameters
        ----------
        model_uri
            ``runs:/<run>/model``, or just a run: its id, the beginning of one, or its name.
        name
            Name of the registered model.
        artifact_path
            Where the model is in the run, if `model_uri` is just a run.

        Raises
        ------
        InvalidParameterError, NotFoundError
            The name or the URI cannot be used; the run has no such model.
        """
        target = parse(model_uri) or RunUri(model_uri, artifact_path)
        if not isinstance(target, RunUri):
            raise InvalidParameterError(
                f"{model_uri!r} is registered already.", hint="Give runs:/<run id>/model."
            )
        return self._workspace.registry.register(
            name,
            run_id=self._id(target.run_id),
            artifact_path=target.path,
            user_id=self._workspace.session.user_id,
        )

    def search_registered_models(self) -> list[RegisteredModel]:
        """Return all registered models with their versions."""
        return [] if self._is_empty() else self._workspace.registry.search_models()

    def load_model(
        self, model_uri: str, *, trust: bool = False, dst_path: AnyPath | None = None
    ) -> object:
        """Return a model as it was when it was logged.

        Parameters
        ----------
        model_uri
            ``models:/<name>/<version>``, ``models:/<name>/latest``, ``models:/<name>/<stage>``,
            ``models:/<name>@<alias>``, ``models:/m-<id>``, ``runs:/<run>/model``, or a directory
            with an MLmodel file: a path, ``file:`` or an address that fsspec reaches.
        trust
            Load it although it was not saved by this user on this machine. Loading a model can
            run any code that its maker put in.
        dst_path
            A folder that its files are copied to; they stay there.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such model; the URI cannot be read.
        UntrustedModelError
            It is somebody else's, or was changed, and `trust` was not given.
        IntegrityError
            Its bytes are damaged.
        """
        with self.model_directory(model_uri, dst_path) as directory:
            return load_directory(directory, trust=trust, called=model_uri)

    @contextlib.contextmanager
    def model_directory(self, model_uri: str, dst_path: AnyPath | None = None) -> Iterator[Path]:
        """Have a model's files in a directory for a while, or in `dst_path` for good.

        Raises
        ------
        NotFoundError, InvalidParameterError, IntegrityError
            As of `load_model`.
        """
        with contextlib.ExitStack() as stack:
            if scheme_of(model_uri) not in {"file", "runs", "models"}:
                folder = dst_path or stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="nbtrack-")
                )
                fsspec.download(model_uri, Path(folder))
                yield self._kept(Path(folder), stack)
                return
            target = self.locate(model_uri)
            if isinstance(target, Path):
                if dst_path is not None:
                    target = Path(shutil.copytree(target, dst_path, dirs_exist_ok=True))
                yield target
                return
            if dst_path is None:
                dst_path = stack.enter_context(tempfile.TemporaryDirectory(prefix="nbtrack-"))
            directory = self.download_artifacts(target.run_id, target.path, dst_path)
            yield self._kept(Path(directory), stack)

    @staticmethod
    def _kept(directory: Path, stack: contextlib.ExitStack) -> Path:
        """Return the directory; it stays until the process ends if the model goes on reading it."""
        if (directory / mlmodel.FILE).is_file() and needs_its_files(directory):
            atexit.register(stack.pop_all().close)
        return directory
