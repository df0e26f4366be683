"""Runs that other tools wrote."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from nbtrack.tracking.client.base import ClientBase
from nbtrack.transfer import MergeReport


class Imports(ClientBase):
    """A database that takes in what others kept."""

    def import_runs(
        self,
        source: str | Path,
        *,
        artifacts_destination: str | Path | None = None,
        format: str | None = None,  # noqa: A002 - what it is called elsewhere, too
        experiment_name: str | None = None,
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> MergeReport:
        r"""Bring all that another tracker or tool wrote into this database; again changes nothing.

        Runs keep their ids, experiments their names, and their numbers where these are free. A run
        that is here, and has gone on there, is brought up to date; nothing that is here is taken
        away. What is imported is only read. Interrupted, it has brought some runs whole, and goes
        on when called again.

        Parameters
        ----------
        source
            An MLflow folder ``mlruns``, an MLflow database (``mlflow.db`` or
            ``sqlite:///mlflow.db``), a folder of TensorBoard's, or a CSV file.
        artifacts_destination
            Where an MLflow server kept what it served: its ``--artifacts-destination``; default:
            the folder ``mlartifacts`` beside the source. A folder, or an address of fsspec's.
        format
            What it is: ``mlruns``, ``mlflow.db``, ``tensorboard``, ``csv``; default: found out by
            looking. ``csv-runs`` (a row is a run) and ``csv-history`` (a row is a step) say which
            of the two kinds a CSV file is, where its columns would mislead.
        experiment_name
            The experiment that runs go into where the source has none; of an MLflow store, the only
            experiment that is brought.
        dry_run
            Only find out what would be done.
        progress
            Called with how many runs are done, and of how many.

        Returns
        -------
        MergeReport
            What was done, where both differ, and what could not be brought over.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such source; it is of no kind that can be read.
        StoreError
            It is damaged, or the database cannot be written just now.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from nbtrack import Client
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> run = folder / "mlruns" / "0" / "0123456789abcdef0123456789abcdef"
        >>> (run / "metrics").mkdir(parents=True)
        >>> meta = "experiment_id: '0'\nname: Default\n"
        >>> _ = (run.parent / "meta.yaml").write_text(meta)
        >>> meta = f"run_id: {run.name}\nrun_name: first\nstart_time: 1\n"
        >>> _ = (run / "meta.yaml").write_text(meta)
        >>> _ = (run / "metrics" / "accuracy").write_text("1 0.5 0\n2 0.9 1\n")
        >>> client = Client(folder / "nbtrack.db")
        >>> len(client.import_runs(folder / "mlruns").added)
        1
        >>> client.get_run("first").data.metrics
        {'accuracy': 0.9}
        """
        from nbtrack.transfer.imports import Options, import_archive, open_archive

        options = Options(artifacts_destination, experiment_name)
        with closing(open_archive(source, options, format=format)) as archive:
            return import_archive(
                archive,
                self._workspace.writer,
                self.path,
                user_id=self._workspace.session.user_id,
                session_id=self._workspace.session.session_id,
                dry_run=dry_run,
                progress=progress,
            )
