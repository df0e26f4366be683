"""What a run keeps as files: artifacts of the disk, texts, dicts, figures, images, tables.

Everything is read and encoded in the call, so that later changes of a file or an object do not
matter; hashing, compressing and storing happen in the writer's thread, but for long files: they are
read once, and are beside the database then.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbtrack import media
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.tracking.paths import AnyPath, file_inside, inside, local_files, readable
from nbtrack.tracking.workspace import Workspace

IMAGES_TAG = "mlflow.loggedImages"
TABLES_TAG = "mlflow.loggedArtifacts"

_appending = threading.Lock()  # a table is read, made longer, and written


def _after_fork_in_child() -> None:
    global _appending  # noqa: PLW0603 - the thread that held it is not in the child
    _appending = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class RunFiles:
    """The verbs of a run that make files; a part of `ActiveRun`."""

    _workspace: Workspace
    run_id: str

    def log_artifact(self, local_path: AnyPath, artifact_path: AnyPath | None = None) -> None:
        """Keep a file, or a folder under its own name, with all that is in it.

        Parameters
        ----------
        local_path
            Where it is now.
        artifact_path
            Folder among the artifacts that it goes into.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such file; it, or the path, cannot be used.
        StoreError
            It is long, and there is no room for it beside the database.
        """
        local = Path(local_path)
        folder = inside(artifact_path)
        if local.is_dir():
            folder = f"{folder}/{local.absolute().name}".lstrip("/")
        self._put_local(local, folder)

    def log_artifacts(self, local_dir: AnyPath, artifact_path: AnyPath | None = None) -> None:
        """Keep all files in a folder, and in the folders in it.

        Parameters
        ----------
        local_dir
            The folder.
        artifact_path
            Folder among the artifacts that they go into.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such folder; a file in it, or the path, cannot be used.
        StoreError
            A file is long, and there is no room for it beside the database.
        """
        local = Path(local_dir)
        if not local.is_dir():
            if local.exists():
                raise InvalidParameterError(
                    f"{str(local)!r} is no folder.", hint="Log a file by log_artifact."
                )
            raise NotFoundError(
                f"There is no folder {str(local)!r}.",
                hint=f"Relative paths begin at {Path.cwd()}.",
            )
        self._put_local(local, inside(artifact_path))

    def log_text(self, text: str, artifact_file: AnyPath) -> None:
        """Keep a text as a file in UTF-8."""
        path = file_inside(artifact_file)
        self._put({path: media.encode_text(text, path)})

    def log_dict(self, dictionary: Any, artifact_file: AnyPath) -> None:
        """Keep a dict or list as a file: YAML where the path ends in .yml or .yaml, else JSON."""
        path = file_inside(artifact_file)
        self._put({path: media.encode_dict(dictionary, path)})

    def log_figure(
        self, figure: Any, artifact_file: AnyPath, *, save_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Keep a figure of matplotlib, plotly or altair; the extension says the format.

        Parameters
        ----------
        save_kwargs
            Passed to the method of the library that saves it.
        """
        path = file_inside(artifact_file)
        self._put({path: media.encode_figure(figure, path, save_kwargs)})

    def log_image(
        self,
        image: Any,
        artifact_file: AnyPath | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Keep an image under a path of its own, or as one of a series that `key` names.

        Parameters
        ----------
        image
            numpy array or torch tensor (H x W, H x W x 1, 3 or 4), PIL image, `nbtrack.Image`.
        artifact_file
            Its path; the extension says the format.
        key, step, timestamp
            Instead of a path: the series, and the place in it.

        Raises
        ------
        InvalidParameterError
            The image cannot be used; both or none of `artifact_file` and `key` are given.
        """
        if (artifact_file is None) == (key is None) or (
            artifact_file is not None and not (step is None and timestamp is None)
        ):
            raise InvalidParameterError(
                "An image needs either artifact_file, or key (with step and timestamp).",
                hint="For example log_image(image, 'dog.png') or log_image(image, key='dogs').",
            )
        if artifact_file is not None:
            path = file_inside(artifact_file)
            self._put({path: media.encode_image(image, path)})
        else:
            at = time.time_ns() // 1_000_000 if timestamp is None else timestamp
            self._put(media.encode_stepped(image, key or "", step or 0, at))
            self._workspace.store.set_tags(self.run_id, {IMAGES_TAG: "True"})

    def log_table(self, data: Any, artifact_file: AnyPath) -> None:
        """Keep a table as .json or .parquet; rows are appended to one that is there.

        Parameters
        ----------
        data
            Dict of lists or of scalars, or a DataFrame of pandas or polars.
        """
        path = file_inside(artifact_file)
        artifacts, store = self._workspace.artifacts, self._workspace.store
        with _appending:
            try:
                existing = artifacts.read(self.run_id, path)
            except NotFoundError:
                existing = None
            self._put(media.encode_table(data, path, existing))
            tags = store.get_run(self.run_id).data.tags
            store.set_tags(self.run_id, {TABLES_TAG: media.add_table(path, tags.get(TABLES_TAG))})

    def log_plot(self, plot: media.Plot) -> None:
        """Keep a small table that the front end draws, as ``plots/<name>.json``."""
        self._put({file_inside(plot.path): plot.encode()})

    def _put_local(self, local: Path, folder: str) -> None:
        for file, path in local_files(local, folder):
            with readable(file):
                self._workspace.artifacts.put_file(self.run_id, path, file)

    def _put(self, files: Mapping[str, bytes]) -> None:
        self._workspace.artifacts.put(self.run_id, files)
