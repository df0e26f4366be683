"""Experiments, as MLflow's client has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nbtrack.addresses import check_address
from nbtrack.artifacts import Agree
from nbtrack.errors import InvalidParameterError
from nbtrack.settings import Settings, settings
from nbtrack.tracking.client.base import ClientBase
from nbtrack.tracking.paging import PagedList, page, view_type
from nbtrack.tracking.runlife import now_ms
from nbtrack.tracking.values import to_texts
from nbtrack.types import Experiment, ExperimentQuery, LifecycleStage, ViewType

_FIRST = "0"  # id of the experiment that every database has


def _default() -> Experiment:
    """Return the experiment that a database will begin with, where there is none yet."""
    now = now_ms()
    return Experiment(_FIRST, Settings.experiment.default, LifecycleStage.ACTIVE, now, now)


class Experiments(ClientBase):
    """The experiments of a database."""

    def create_experiment(
        self,
        name: str,
        artifact_location: str | None = None,
        tags: Mapping[str, object] | None = None,
    ) -> str:
        """Make an experiment and return its id.

        Parameters
        ----------
        artifact_location
            Where contents of artifacts are brought that are too long for the database file: an
            address of fsspec such as ``s3://bucket/folder``, or a folder. Default: as the setting
            ``artifact_location`` says.

        Raises
        ------
        AlreadyExistsError
            There is one of that name, in the trash or not.
        InvalidParameterError
            The name is blank; nothing can be written to the location.
        MissingPackageError
            fsspec, or its package for the location, is not installed.
        """
        location = check_address(str(artifact_location)) if artifact_location else ""
        made = self._workspace.store.create_experiment(
            check_name(name), artifact_location=location, tags=to_texts(tags or {})
        )
        if location:
            self._workspace.writer.call(Agree(location))
        return made

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment, in the trash or not.

        Raises
        ------
        NotFoundError
            There is none with that id.
        """
        if str(experiment_id) == _FIRST and self._is_empty():
            return _default()
        return self._workspace.store.get_experiment(str(experiment_id))

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return the experiment of that name, in the trash or not; None if there is none."""
        if self._is_empty():
            return _default() if name == Settings.experiment.default else None
        return self._workspace.store.get_experiment_by_name(name)

    def search_experiments(
        self,
        view_type: int | str = ViewType.ACTIVE_ONLY,
        max_results: int | None = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Experiment]:
        """Return experiments, newest first.

        Parameters
        ----------
        view_type
            `ViewType`: whether those in the trash are meant.
        max_results
            At most so many; ``.token`` of the result asks for the next.
        filter_string
            For example ``name LIKE 'churn%' AND tags.team = 'blue'``.
        order_by
            For example ``["name ASC"]``.
        page_token
            Where to go on.

        Raises
        ------
        InvalidParameterError
            The filter, the order, the view, the token or `max_results` cannot be used.
        """
        view = _view(view_type)

        def search(count: int, offset: int) -> list[Experiment]:
            query = ExperimentQuery(filter_string or "", order_by or (), view, count, offset)
            return self._workspace.store.search_experiments(query)

        if self._is_empty():
            is_seen = not filter_string and view is not ViewType.DELETED_ONLY
            return PagedList([_default()] if is_seen else [])
        return page(search, 1000 if max_results is None else max_results, page_token)

    def delete_experiment(self, experiment_id: str) -> None:
        """Put an experiment and its runs into the trash.

        Raises
        ------
        NotFoundError
            There is no such experiment, or it is there already.
        """
        store = self._workspace.store
        store.set_experiment_stage(str(experiment_id), LifecycleStage.DELETED)
        self._trash.add(store.get_experiment(str(experiment_id)).name)
        self._look_again()

    def restore_experiment(self, experiment_id: str) -> None:
        """Take an experiment and its runs out of the trash.

        Raises
        ------
        NotFoundError
            It is not in there.
        """
        store = self._workspace.store
        store.set_experiment_stage(str(experiment_id), LifecycleStage.ACTIVE)
        self._trash.discard(store.get_experiment(str(experiment_id)).name)
        self._look_again()

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Give an experiment another name.

        Raises
        ------
        NotFoundError, AlreadyExistsError, InvalidParameterError
            There is no such experiment; the name is taken; it is blank.
        """
        old = self.get_experiment(experiment_id).name
        self._workspace.store.rename_experiment(str(experiment_id), check_name(new_name))
        if settings.is_chosen("experiment") and settings.experiment == old:
            settings.experiment = new_name  # new runs still belong to it
        for run in list(self._handles.values()):
            if run.experiment_name == old:
                run.experiment_name = new_name

    def set_experiment_tag(self, experiment_id: str, key: str, value: object) -> None:
        """Set a tag of an experiment.

        Raises
        ------
        NotFoundError
            There is no such experiment.
        """
        self.set_experiment_tags(experiment_id, {key: value})

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, object]) -> None:
        """Set several tags of an experiment."""
        self._workspace.store.set_experiment_tags(str(experiment_id), to_texts(tags))

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Take a tag off an experiment.

        Raises
        ------
        NotFoundError
            There is no such experiment, or it has no such tag.
        """
        self._workspace.store.delete_experiment_tag(str(experiment_id), key)


_view = view_type  # a parameter has this name, too


def check_name(name: object) -> str:
    """Return the name of an experiment.

    Raises
    ------
    InvalidParameterError
        It is blank, or no text.
    """
    if not isinstance(name, str) or not name.strip():
        raise InvalidParameterError(
            f"{name!r} is no name for an experiment; it needs a text.",
            hint="For example: set_experiment('churn').",
        )
    return name
