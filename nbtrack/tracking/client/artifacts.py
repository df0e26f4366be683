"""Artifacts of runs, as they are listed and taken out."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from nbtrack import media
from nbtrack.errors import InvalidParameterError, NbtrackError, NotFoundError
from nbtrack.registry import LoggedModelUri, ModelUri, RunUri, parse
from nbtrack.tracking import notices
from nbtrack.tracking.client.search import Search
from nbtrack.tracking.paths import AnyPath, file_inside, inside
from nbtrack.tracking.runfiles import TABLES_TAG
from nbtrack.types import FileInfo

if TYPE_CHECKING:
    import pandas as pd


_MAX_PLOT = 1_000_000  # bytes: what nbtrack writes has some thousands


class Artifacts(Search):
    """The files of runs."""

    def list_artifacts(self, run_id: str, path: AnyPath | None = None) -> list[FileInfo]:
        """Return the files and folders right below a path; none for a file or nothing."""
        folder = inside(path)
        prefix = f"{folder}/" if folder else ""
        found: dict[str, FileInfo] = {}
        for file in self._workspace.artifacts.list(self._id(run_id), folder):
            if file.path.startswith(prefix):
                name, _, rest = file.path[len(prefix) :].partition("/")
                place = f"{prefix}{name}"
                found[place] = FileInfo(place, bool(rest), None if rest else file.size_bytes)
        return [found[place] for place in sorted(found)]

    def download_artifacts(
        self, run_id: str, path: AnyPath = "", dst_path: AnyPath | None = None
    ) -> str:
        """Write an artifact, or all below a path, into a folder; return where it is.

        Parameters
        ----------
        path
            Empty: all artifacts of the run.
        dst_path
            The folder, made if it is not there; default: a temporary one.

        Raises
        ------
        NotFoundError, IntegrityError
            There is none; its bytes are damaged.
        StoreError
            They are at an address that cannot be reached.
        InvalidParameterError
            The folder cannot be written to.
        """
        run, place = self._id(run_id), inside(path)
        target = Path(tempfile.mkdtemp(prefix="nbtrack-") if dst_path is None else dst_path)
        target = target.absolute()
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidParameterError(
                f"The folder {str(target)!r} cannot be made: {error.strerror}.",
                hint="Give another dst_path.",
            ) from error
        if not place and not self._workspace.artifacts.list(run):
            return str(target)
        return str(self._workspace.artifacts.download(run, place, target))

    def get_plots(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Return the tables of a run that are to be drawn, by name; see `nbtrack.media.Plot`.

        One that cannot be read, or is none, is left out.
        """
        run = self._id(run_id)
        files = self._workspace.artifacts.list(run, media.PLOTS)
        paths = [file.path for file in files if file.size_bytes <= _MAX_PLOT]
        found = {path: self._plot(run, path) for path in paths}
        return {
            path.removeprefix(f"{media.PLOTS}/").removesuffix(".json"): plot
            for path, plot in sorted(found.items())
            if plot is not None
        }

    def _plot(self, run_id: str, path: str) -> dict[str, Any] | None:
        try:
            return media.decode_plot(self._workspace.artifacts.read(run_id, path))
        except NbtrackError:
            # Damaged, or at an address that cannot be reached: who downloads it is told, and a
            # report is written without it.
            return None

    def upload_artifacts(self, timeout: float | None = None) -> int:
        """Bring long contents to their address now; return how many are still waiting.

        This happens by itself, in the background: only what reads them elsewhere needs it.

        Parameters
        ----------
        timeout
            Seconds that are waited at most; None: until all is brought, or an address cannot be
            reached, which is told by a warning and tried again later.

        Raises
        ------
        StoreError
            The database cannot be read or written.
        """
        return self._workspace.upload(timeout)

    def load_table(
        self,
        experiment_id: str,
        artifact_file: AnyPath,
        run_ids: Sequence[str] | None = None,
        extra_columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the tables that runs have logged under a path, as one.

        Parameters
        ----------
        experiment_id
            Runs of this experiment are looked at.
        run_ids
            Only these runs; one without the table is left out with a warning.
        extra_columns
            Columns of `nbtrack.search_runs` that are added, such as ``run_id``.

        Raises
        ------
        NotFoundError
            No run has such a table.
        """
        import pandas as pd

        from nbtrack.tracking.frames import mlflow_frame

        path = file_inside(artifact_file)
        runs = mlflow_frame(
            self.run_table([str(experiment_id)], f'tags."{TABLES_TAG}" IS NOT NULL')
        )
        tag = f"tags.{TABLES_TAG}"
        has = [path in media.logged_tables(text) for text in runs[tag]] if tag in runs else []
        runs = runs[has] if has else runs[:0]
        if run_ids is not None:
            wanted = {self._id(run) for run in run_ids}
            runs = runs[runs["run_id"].isin(wanted)]
            if len(runs) < len(wanted):
                notices.warn(f"{len(wanted) - len(runs)} of the runs have no table {path!r}.")
        if runs.empty:
            raise NotFoundError(
                f"No run of the experiment {experiment_id} has a table {path!r}.",
                hint="nbtrack.log_table keeps one.",
            )
        tables = []
        for _, run in runs.iterrows():
            data = self._workspace.artifacts.read(run["run_id"], path)
            table = media.decode_table(data, path)
            for column in extra_columns or ():
                if column not in run:
                    raise InvalidParameterError(
                        f"{column!r} is no column that runs have.",
                        hint=f"Use one of {', '.join(map(repr, list(runs.columns)[:12]))} ...",
                    )
                table[f"{column}_" if column in table else column] = run[column]
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def locate(self, uri: str) -> RunUri | Path:
        """Return what a URI of an artifact or a model means: something of a run, or a local path.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such model; the URI cannot be read.
        """
        target = parse(uri)
        if target is None:
            return Path(url2pathname(urlsplit(uri).path) if uri.startswith("file:") else uri)
        if isinstance(target, LoggedModelUri):
            return self._workspace.registry.locate_model(target.model_id)
        if isinstance(target, ModelUri):
            version = self._workspace.registry.get_version(target.name, target.version)
            return self._workspace.locate(version)
        return target
