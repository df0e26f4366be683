"""Runs that come from other files, or go there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nbtrack.db import resolve_path
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.provenance import is_alive
from nbtrack.store.maintenance import Progress
from nbtrack.tracking.client.base import ClientBase
from nbtrack.tracking.modelfiles import JOURNALED
from nbtrack.tracking.workspace import flush_workspace
from nbtrack.transfer import MergeReport, export, merge
from nbtrack.types import RunQuery, ViewType


class Archives(ClientBase):
    """A database among others."""

    def merge(
        self, path: str | Path, *, dry_run: bool = False, progress: Progress | None = None
    ) -> MergeReport:
        """Bring all that another database has into this one; merging again changes nothing.

        Runs are told apart by their ids, experiments by their names. A run that is here, and has
        gone on there, is brought up to date; nothing that is here is taken away. The other file is
        only read. Interrupted, it has brought some runs whole, and goes on when called again.

        Parameters
        ----------
        path
            The other database.
        dry_run
            Only find out what would be done.
        progress
            Called again and again with how many runs and other things are done, and of how many.

        Returns
        -------
        MergeReport
            What was done, where the files differ, and what could not be brought over.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such file; it is this one.
        StoreError
            One of the files is damaged, none of nbtrack's, or cannot be written just now.

        Examples
        --------
        >>> import tempfile
        >>> from nbtrack import Client
        >>> folder = tempfile.mkdtemp()
        >>> cluster, home = Client(f"{folder}/cluster.db"), Client(f"{folder}/home.db")
        >>> with cluster.start_run("far away") as run:
        ...     run.log_metric("accuracy", 0.9)
        >>> len(home.merge(cluster.path).added), home.merge(cluster.path).unchanged
        (1, 1)
        >>> home.get_run("far away").data.metrics
        {'accuracy': 0.9}
        """
        other = resolve_path(str(path))
        flush_workspace(other)
        return merge(
            other,
            self._workspace.writer,
            self.path,
            user_id=self._workspace.session.user_id,
            is_alive=is_alive,
            kinds=JOURNALED,
            dry_run=dry_run,
            progress=progress,
        )

    def export(
        self,
        runs: str | Sequence[str],
        path: str | Path,
        *,
        experiment_names: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> MergeReport:
        """Bring some runs, and all they refer to, into another database, which is made for it.

        Their children come along, their files, cells, datasets and registered versions. A database
        of nbtrack's that is there is merged into.

        Parameters
        ----------
        runs
            The runs: ids, beginnings of ids, or names.
        path
            The other database.
        experiment_names
            Also all runs of these experiments that are not in the trash.
        progress
            Called again and again with how many runs and other things are done, and of how many.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such run or experiment; nothing was named; the file is this one.
        StoreError
            There is a file that is none of nbtrack's, or one of them cannot be written just now.

        Examples
        --------
        >>> import tempfile
        >>> from nbtrack import Client
        >>> folder = tempfile.mkdtemp()
        >>> client = Client(f"{folder}/nbtrack.db")
        >>> with client.start_run("best") as run:
        ...     run.log_metric("accuracy", 0.9)
        >>> len(client.export("best", f"{folder}/best.db").added)
        1
        """
        chosen = self._chosen(runs, experiment_names)
        other = resolve_path(str(path))
        flush_workspace(other)
        self.flush()
        return export(
            self.path,
            chosen,
            other,
            user_id=self._workspace.session.user_id,
            is_alive=is_alive,
            kinds=JOURNALED,
            progress=progress,
        )

    def _chosen(self, runs: str | Sequence[str], experiment_names: Sequence[str]) -> list[str]:
        """Return the ids of the runs that are to be exported."""
        chosen = [self._id(run) for run in ([runs] if isinstance(runs, str) else runs)]
        for name in experiment_names:
            chosen += self._runs_of(name)
        if not chosen:
            raise InvalidParameterError(
                "No run was chosen to be exported.",
                hint="Name runs, or an experiment that has some.",
            )
        return chosen

    def _runs_of(self, name: str) -> list[str]:
        store = self._workspace.store
        experiment = store.get_experiment_by_name(name)
        if experiment is None:
            raise NotFoundError(
                f"There is no experiment {name!r}.",
                hint="nbtrack.search_experiments() lists the experiments.",
            )
        query = RunQuery(
            experiment_ids=(experiment.experiment_id,),
            view_type=ViewType.ACTIVE_ONLY,
            max_results=-1,
        )
        return store.run_table(query).run_ids
