"""Runs: their begin, their end, and the trash."""

from __future__ import annotations

from collections.abc import Mapping

from nbtrack.errors import InvalidParameterError
from nbtrack.provenance import source_tags
from nbtrack.provenance.cells import current_cell
from nbtrack.provenance.source import PARENT, RUN_NAME, USER
from nbtrack.settings import settings
from nbtrack.store import NewRun
from nbtrack.tracking import active
from nbtrack.tracking.client.base import ClientBase
from nbtrack.tracking.events import announce
from nbtrack.tracking.names import new_id, new_name
from nbtrack.tracking.run import ActiveRun
from nbtrack.tracking.runlife import now_ms
from nbtrack.tracking.values import to_int, to_texts
from nbtrack.types import Experiment, LifecycleStage, RunStatus

_DEFAULT = Experiment("0", "Default", LifecycleStage.ACTIVE, 0, 0)


class Runs(ClientBase):
    """The runs of a database, as they begin and end."""

    def start_run(
        self,
        run_name: str | None = None,
        *,
        experiment_name: str | None = None,
        experiment_id: str | None = None,
        parent_run_id: str | None = None,
        tags: Mapping[str, object] | None = None,
    ) -> ActiveRun:
        """Begin a run of this process and return its handle; only a server is waited for.

        It gets MLflow's tags that say who and what made it: user, notebook or script, commit.

        Parameters
        ----------
        run_name
            Default: a name such as ``brave-otter-12``.
        experiment_name
            Default: the settings ``experiment`` and ``experiment_id``. It is made if there is none
            of that name.
        experiment_id
            Instead of a name: an experiment that is there.
        parent_run_id
            The run that this one is a part of.
        tags
            First tags.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such experiment or parent; it is in the trash.
        StoreError
            The server, which gives the run its id, cannot be asked.
        """
        if experiment_id is None and experiment_name is None:
            experiment_name, experiment_id = self.settings_experiment()
        run = self._begin(
            run_name,
            experiment=self._usable(experiment_id) if experiment_id else experiment_name or "",
            tags=tags,
            context=source_tags(self._workspace.session.user_id),
            parent_run_id=parent_run_id,
        )
        active.last.set(run)
        return run

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, object] | None = None,
        run_name: str | None = None,
    ) -> ActiveRun:
        """Begin a run for somebody else: it has the tags that are given, and no others.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such experiment, or it is in the trash; the name differs from the tag
            ``mlflow.runName``.
        """
        return self._begin(
            run_name,
            experiment=self._usable(experiment_id),
            tags=tags,
            context={USER: "unknown"},
            start_time=start_time,
            keep_context=False,
        )

    def _begin(
        self,
        run_name: str | None,
        *,
        experiment: Experiment | str,
        tags: Mapping[str, object] | None,
        context: Mapping[str, str],
        parent_run_id: str | None = None,
        start_time: int | None = None,
        keep_context: bool = True,
    ) -> ActiveRun:
        own = to_texts(tags or {})
        if run_name and own.get(RUN_NAME, run_name) != run_name:
            raise InvalidParameterError(
                f"The run has two names: {run_name!r}, and {own[RUN_NAME]!r} in its tags.",
                hint=f"Leave out the tag {RUN_NAME}, or run_name.",
            )
        named = isinstance(experiment, str)
        experiment_name = experiment if isinstance(experiment, str) else experiment.name
        if experiment_name in self._trash:
            raise _in_trash(experiment_name)
        cell, session = current_cell(), self._workspace.session
        run = ActiveRun(
            self._workspace,
            run_id=new_id(),
            run_name=run_name or own.get(RUN_NAME) or new_name(),
            experiment_name=experiment_name,
            experiment_id=None if isinstance(experiment, str) else experiment.experiment_id,
            execution_id=None if cell is None else cell.execution_id,
            start_time=now_ms() if start_time is None else to_int("start time", start_time),
            parent_run_id=parent_run_id or own.get(PARENT),
            user_id=own.get(USER, context[USER]),
        )
        all_tags = {**(context if keep_context else {}), **own, RUN_NAME: run.run_name}
        if run.parent_run_id:
            all_tags[PARENT] = run.parent_run_id
        run.tags = own
        run.run_id = self._workspace.begin_run(
            NewRun(
                run_id=run.run_id,
                run_name=run.run_name,
                experiment_name=experiment_name,
                experiment_id=None if named else run.experiment_id,
                status=RunStatus.RUNNING,
                start_time=run.start_time,
                user_id=run.user_id,
                session_id=session.session_id,
                parent_run_id=run.parent_run_id,
                execution_id=run.execution_id,
                tags=all_tags,
            )
        )
        self._keep(run)
        announce(run)
        return run

    def _usable(self, experiment_id: str) -> Experiment:
        if str(experiment_id) == _DEFAULT.experiment_id and self._is_empty():
            return _DEFAULT  # it is made with the file
        found = self._workspace.store.get_experiment(str(experiment_id))
        if found.lifecycle_stage == LifecycleStage.DELETED:
            raise _in_trash(found.name)
        return found

    def settings_experiment(self) -> tuple[str, str | None]:
        """Return name and id of the experiment that the settings mean; the id only if it is said.

        What code said goes before the environment, a name before an id.
        """
        wanted, by_name = settings.experiment_id, settings.is_chosen("experiment")
        if not wanted or (by_name and not settings.is_chosen("experiment_id")):
            return settings.experiment, None
        found = self._usable(wanted)
        named = by_name or type(settings).experiment.variable() is not None
        if named and settings.experiment != found.name:
            raise InvalidParameterError(
                f"The experiment with id {wanted} is {found.name!r}, and not "
                f"{settings.experiment!r}.",
                hint="Set one of the settings experiment and experiment_id.",
            )
        return found.name, wanted

    def set_terminated(
        self, run_id: str, status: str | None = None, end_time: int | None = None
    ) -> None:
        """End a run; one that has ended gets the new status and time.

        Parameters
        ----------
        status
            FINISHED (the default), FAILED or KILLED.
        end_time
            Milliseconds since 1970 UTC; default: now.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such run; it is in the trash; no run can end with that.
        """
        run = self.handle(run_id)
        run.end_time = None  # here the last end counts: somebody asks for it by name
        run.end(status or RunStatus.FINISHED, end_time=end_time)

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        """Change the status or the name of a run.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such run; it is in the trash; there is no such status.
        """
        self.handle(run_id).update(status, name)

    def delete_run(self, run_id: str) -> None:
        """Put a run into the trash; again is harmless.

        Raises
        ------
        NotFoundError
            There is no such run.
        """
        self._set_stage(self._id(run_id), LifecycleStage.DELETED)

    def restore_run(self, run_id: str) -> None:
        """Take a run out of the trash. It is named by its full id.

        Raises
        ------
        NotFoundError
            There is no such run.
        """
        self._set_stage(self._id(run_id), LifecycleStage.ACTIVE)

    def _set_stage(self, run_id: str, stage: LifecycleStage) -> None:
        self._workspace.store.set_run_stage(run_id, stage)
        if run_id in self._handles:
            self._handles[run_id].lifecycle_stage = stage


def _in_trash(name: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"The experiment {name!r} is in the trash: it can have no new runs.",
        hint="Take it out by client.restore_experiment(experiment_id), or choose another one.",
    )
