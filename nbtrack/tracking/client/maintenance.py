"""The archive, kept in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.provenance import is_alive
from nbtrack.store.maintenance import (
    Collect,
    Collected,
    Problem,
    Progress,
    Sweep,
    Swept,
    Vacuumed,
    backup,
    check,
    find_orphans,
    parse_age,
    preview,
    sweep_elsewhere,
    vacuum,
)
from nbtrack.tracking import notices
from nbtrack.tracking.client.base import ClientBase


class Maintenance(ClientBase):
    """The file of a database, as a whole."""

    def gc(
        self,
        older_than: str | timedelta | None = None,
        run_ids: Sequence[str] | None = None,
        experiment_ids: Sequence[str] | None = None,
        *,
        dry_run: bool = False,
    ) -> Collected:
        """Delete for good what is in the trash, and what nothing refers to any more.

        Experiments go once they have no runs left. Runs that are a version of a registered model,
        or that still run, stay and are named in the result. The room in the file is kept for what
        comes; `vacuum` gives it back to the disk. Contents beside the file and at addresses are
        deleted, too; what cannot be reached just now is by the next `gc`.

        Parameters
        ----------
        older_than
            Only what has been in the trash for so long: ``"30d"``, ``"8h"``, ``"2d8h5m20s"``.
        run_ids
            Only these runs, by full id; they must be in the trash.
        experiment_ids
            Only what is in the trash of these experiments, and these.
        dry_run
            Change nothing, and return what would go.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such run or experiment; the run is not in the trash; that is no age.
        StoreError
            The database cannot be written just now.
        """
        for name, ids in (("run_ids", run_ids), ("experiment_ids", experiment_ids)):
            if isinstance(ids, str):
                raise InvalidParameterError(
                    f"{name} is {ids!r}; it needs a list.", hint=f"Use {name}=[{ids!r}]."
                )
        runs, experiments = (
            None if ids is None else [str(one) for one in ids] for ids in (run_ids, experiment_ids)
        )
        collect = Collect(is_alive, parse_age(older_than), runs, experiments)
        self._need_file()
        if dry_run:
            would = preview(self.path, collect)
            return _with_orphans(would, find_orphans(self.path, Sweep(is_alive)))
        done: Collected = self._workspace.writer.call(collect)
        for run_id in done.run_ids:
            self._handles.pop(run_id, None)
        self._trash.difference_update(done.experiments)
        # Only now: a file that is gone cannot be brought back, as rows can.
        orphans: Swept = self._workspace.writer.call(Sweep(is_alive, frozenset(done.outside)))
        sweep_elsewhere(self.path, notices.warn)
        return _with_orphans(done, orphans)

    def check(self, progress: Progress | None = None) -> list[Problem]:
        """Return what is wrong with the file; an empty list if all of it is as it was stored.

        SQLite's own checks, every reference, the digest of every file, all points of metrics and
        their summaries, and the sealed rows of runs are looked at. Nothing is changed. Contents
        that are at an address are read from there, which may take long.

        Parameters
        ----------
        progress
            Called again and again with how many bytes were looked at, and of how many.

        Raises
        ------
        NotFoundError, ForeignDatabaseError, NewerSchemaError
            There is no such file; it is not one of nbtrack's; it is too new for this one.
        """
        self._need_file()
        return check(self.path, progress)

    def backup(
        self,
        target: str | Path,
        *,
        overwrite: bool = False,
        verify: bool = True,
        progress: Progress | None = None,
    ) -> Path:
        """Copy the file as it is at this moment, whoever writes to it; return where the copy is.

        What this process has logged before is in it. The copy appears under its name when it is
        whole, and may be read and written as any database. Contents beside the file are copied to
        beside the copy; those at an address stay there, and the copy reads them as long as the
        database has them.

        Parameters
        ----------
        target
            A file.
        overwrite
            Replace the file that is there.
        verify
            `check` the copy; one with problems is not kept.
        progress
            Called again and again with how many bytes are copied, and of how many.

        Raises
        ------
        AlreadyExistsError, InvalidParameterError
            There is such a file already; there can be none.
        StoreError
            The database cannot be read, or the copy not be written.
        IntegrityError
            The copy has problems.
        """
        self._need_file()
        place = Path(target).absolute()
        backup(self.path, place, overwrite=overwrite, verify=verify, progress=progress)
        return place

    def vacuum(self) -> Vacuumed:
        """Give room that is free in the file, after `gc` say, back to the disk.

        Others who write wait meanwhile, and what they log waits in their journals.

        Raises
        ------
        StoreError
            Somebody else writes; there is not enough room on the disk for the file's new form.
        """
        self._need_file()
        return vacuum(self.path)

    def _need_file(self) -> None:
        """Write what this process has pending; none of this makes a database."""
        self.flush()
        if not self.path.exists():
            raise NotFoundError(
                f"There is no database {self.path} yet.",
                hint="It is made by the first run: %load_ext nbtrack, then fit a model.",
            )


def _with_orphans(collected: Collected, swept: Swept) -> Collected:
    return replace(collected, orphans=swept.files, orphan_bytes=swept.nbytes)
