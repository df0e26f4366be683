"""The handle of a run: what a user, or an integration, writes to.

Every verb returns at once; the writer stores what was said in that order. The handle also keeps
what it was told (status, params, last metrics), so that a card can be drawn without the database.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.models import Interface, Snapshot, take_snapshot
from nbtrack.models.flavors import ModelTooLargeError
from nbtrack.settings import settings
from nbtrack.tracking import events, later, notices, twins
from nbtrack.tracking.modelfiles import ModelFiles
from nbtrack.tracking.names import new_id
from nbtrack.tracking.runfiles import RunFiles
from nbtrack.tracking.runlife import RunLife, now_ms
from nbtrack.tracking.values import masked, to_float, to_int, to_key, to_text, to_texts
from nbtrack.types import (
    DatasetInput,
    Metric,
    ModelInfo,
)

MODEL_PATH = "model"


class ActiveRun(RunLife, RunFiles):
    """A run that can be written to, also after it has ended (metrics that come later).

    Made by `nbtrack.start_run`, `nbtrack.Client.start_run` and `nbtrack.Client.create_run`; as a
    context manager it ends itself: FINISHED, FAILED with the traceback, or KILLED by an interrupt.
    It has ``info``, ``data`` and ``inputs`` as MLflow's: these are read from the database.

    Attributes
    ----------
    run_id, run_name, experiment_name, parent_run_id, user_id
        Who it is.
    place
        The database or the server it is in.
    status
        `RunStatus`.
    start_time, end_time
        In ms since 1970 UTC; end_time is None while it runs.
    params, metrics, tags
        What this handle was told: texts, and the last value of each metric.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="mine") as run:
    ...     run.log_metric("loss", 0.5)
    >>> isinstance(run, nbtrack.ActiveRun), run.info.run_name, run.data.metrics
    (True, 'mine', {'loss': 0.5})
    """

    # -- params, metrics, tags

    def log_param(self, key: str, value: object) -> None:
        """Set a param; its text is taken now. A key that is there is overwritten."""
        self.log_params({key: value})

    def log_params(self, params: Mapping[str, object], highlights: Iterable[str] = ()) -> None:
        """Set several params.

        Parameters
        ----------
        highlights
            Keys of the params that somebody chose, as far as it is known: a card shows these.
        """
        self.highlights |= dict.fromkeys(highlights)
        self._set_params(to_texts(params))

    def _set_params(self, texts: dict[str, str]) -> None:
        if texts:
            self.params |= texts
            self._workspace.store.log_params(self.run_id, texts)
            self._changed()

    def log_metric(
        self, key: str, value: float, step: int | None = 0, timestamp: int | None = None
    ) -> None:
        """Add a point to a metric.

        Parameters
        ----------
        value
            Anything that `float` takes but text: also 0-dimensional arrays and tensors.
        step
            Place of the point; may be negative.
        timestamp
            Milliseconds since 1970 UTC; default: now.

        Raises
        ------
        InvalidParameterError
            The value is no number; step or timestamp is no whole number of 64 bits.
        """
        # Training loops call this: what is of the right type already is not looked at again.
        if type(key) is not str or not key:
            key = to_key(key)
        if type(value) is not float:
            value = to_float(key, value)
        if type(step) is not int:
            step = 0 if step is None else to_int("step", step)
        if timestamp is None:
            timestamp = time.time_ns() // 1_000_000
        elif type(timestamp) is not int:
            timestamp = to_int("timestamp", timestamp)
        try:
            self._add_point(self.run_id, key, value, step, timestamp)
        except struct.error:
            to_int("step", step)
            to_int("timestamp", timestamp)
            raise
        self.metrics[key] = value
        if events.listeners:
            self._changed()

    def log_metrics(
        self, metrics: Mapping[str, float], step: int | None = 0, timestamp: int | None = None
    ) -> None:
        """Add a point to each of several metrics; none, if one of them cannot be."""
        at = now_ms() if timestamp is None else to_int("timestamp", timestamp)
        place = 0 if step is None else to_int("step", step)
        values = {
            (name := to_key(key)): value if type(value) is float else to_float(name, value)
            for key, value in metrics.items()
        }
        if len(new := [key for key in values if key not in self.metrics]) > 1:
            self._workspace.store.expect_metrics(self.run_id, new)
        for key, value in values.items():
            self._add_point(self.run_id, key, value, place, at)
        if values:
            self.metrics |= values
            if events.listeners:
                self._changed()

    def log_history(
        self,
        key: str,
        values: Sequence[float],
        steps: Sequence[int] | None = None,
        timestamps: Sequence[int] | None = None,
    ) -> None:
        """Add many points to one metric; none, if one of them cannot be.

        Parameters
        ----------
        values
            Numbers, or an array of them.
        steps
            Their places; default: from 0 upwards.
        timestamps
            In ms since 1970 UTC; default: now.

        Raises
        ------
        InvalidParameterError
            A value is no number; there are more or fewer steps or timestamps than values.
        """
        key = to_key(key)
        numbers = [value if type(value) is float else to_float(key, value) for value in values]
        places = range(len(numbers)) if steps is None else [to_int("step", s) for s in steps]
        now = now_ms()
        times = (
            [now] * len(numbers)
            if timestamps is None
            else [to_int("timestamp", t) for t in timestamps]
        )
        if not len(numbers) == len(places) == len(times):
            raise InvalidParameterError(
                f"The metric {key!r} got {len(numbers)} values, {len(places)} steps and "
                f"{len(times)} timestamps.",
                hint="Give as many of each.",
            )
        for value, step, at in zip(numbers, places, times, strict=True):
            self._add_point(self.run_id, key, value, step, at)
        if numbers:
            self.metrics[key] = numbers[-1]
            self._changed()

    def set_tag(self, key: str, value: object) -> None:
        """Set a tag. A key that is there is overwritten."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set several tags."""
        self._set_tags(to_texts(tags))

    def _set_tags(self, texts: dict[str, str]) -> None:
        if texts:
            self.tags |= texts
            self.run_name = texts.get("mlflow.runName") or self.run_name
            self._workspace.store.set_tags(self.run_id, texts)
            self._changed()

    def delete_tag(self, key: str) -> None:
        """Take a tag off.

        Raises
        ------
        NotFoundError
            There is no such tag.
        """
        self._workspace.store.delete_tag(self.run_id, key)
        self.tags.pop(key, None)
        self._changed()

    def log_batch(
        self,
        metrics: Sequence[Any] = (),
        params: Sequence[Any] = (),
        tags: Sequence[Any] = (),
    ) -> None:
        """Log `Metric`, `Param` and `RunTag` objects together; nothing, if one of them cannot be.

        Points may belong to a model or a dataset. Objects of MLflow's are taken, too.
        """
        points = [
            Metric(
                (key := to_key(m.key)),
                to_float(key, m.value),
                to_int("timestamp", m.timestamp),
                to_int("step", m.step),
                m.model_id,
                m.dataset_name,
                m.dataset_digest,
            )
            for m in metrics
        ]
        texts, marks = (
            masked((to_key(item.key), to_text(item.value)) for item in items)
            for items in (params, tags)
        )
        if points:
            self.metrics |= {point.key: point.value for point in points}
            self._workspace.store.log_metrics(self.run_id, points)
        self._set_params(texts)
        self._set_tags(marks)
        if points and not (texts or marks):
            self._changed()

    # -- data and models

    def log_input(
        self,
        data: object,
        name: str | None = None,
        context: str | None = "train",
        tags: Mapping[str, object] | None = None,
    ) -> None:
        """Note what data the run saw: shape, schema and fingerprint are taken now, not the data.

        Does nothing where the setting ``log_datasets`` is off.

        Parameters
        ----------
        data
            A dataset of `nbtrack.data` or MLflow's, or the data itself.
        name
            What it is called; default: the dataset's own name.
        context
            What it is used for: train, eval, target ...
        tags
            More about this use of it.
        """
        if settings.log_datasets:
            from nbtrack.data import to_record

            self.log_inputs(
                [DatasetInput(to_record(data, name), context or "", to_texts(tags or {}))]
            )

    def log_inputs(self, inputs: Sequence[DatasetInput]) -> None:
        """Note several datasets that the run saw."""
        if settings.log_datasets and inputs:
            self.digests += [(use.context, use.dataset.digest) for use in inputs]
            self._workspace.store.log_inputs(self.run_id, inputs)

    def look_for_twin(self) -> None:
        """Have it told if an earlier run of the experiment has the same data, params and code."""
        twins.look(self)

    def log_model(
        self,
        model: object,
        flavor: str,
        artifact_path: str = MODEL_PATH,
        *,
        interface: Interface | None = None,
        registered_model_name: str | None = None,
        **options: object,
    ) -> None:
        """Keep a model as it is now. Packing and storing it happen in the writer's thread.

        Does nothing where the setting ``log_models`` is off. A model above ``max_model_mb`` is
        left out with a notice.

        Parameters
        ----------
        interface
            What the model takes and gives, and an example of it.
        registered_model_name
            The model becomes the next version of this registered model, soon: nothing is waited
            for.
        options
            The flavor's own, as of its ``log_model``.

        Raises
        ------
        Exception
            Whatever pickling the model raises: some models cannot be.
        """
        if not settings.log_models:
            return
        try:
            snapshot = take_snapshot(
                model, flavor, max_bytes=settings.max_model_mb * 2**20, **options
            )
        except ModelTooLargeError as error:
            notices.warn(
                f"The model of run {self.run_name} is left out: {error}", cause="model too large"
            )
            return
        if interface is not None:
            snapshot = interface.added_to(snapshot)
        self.log_state(snapshot, artifact_path, registered_model_name=registered_model_name)

    def log_state(
        self,
        snapshot: Snapshot,
        artifact_path: str = MODEL_PATH,
        *,
        registered_model_name: str | None = None,
    ) -> ModelInfo:
        """Keep a model that is bytes already; one with the same path takes its place.

        Parameters
        ----------
        registered_model_name
            As of `log_model`.
        """
        model_id = new_id()
        self._workspace.keep_model(ModelFiles(snapshot, self.run_id, artifact_path, model_id))
        info = ModelInfo(
            model_id=model_id,
            run_id=self.run_id,
            artifact_path=artifact_path,
            flavor=snapshot.flavor,
            model_class=snapshot.model_class,
            size_bytes=snapshot.size_bytes,
            created_ms=now_ms(),
        )
        self._workspace.store.log_model(info)
        self._changed()
        if registered_model_name is not None:
            register = partial(
                self._workspace.registry.register,
                registered_model_name,
                run_id=self.run_id,
                artifact_path=artifact_path,
                user_id=self.user_id,
            )
            later.do(f"register the model as {registered_model_name!r}", register)
        return info
