"""One training: the optimizers that step in it, what they log, and how its run goes on and ends."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import time_ns
from types import FrameType
from typing import Any

from nbtrack.autologging import tally
from nbtrack.autologging.integration import TrackedRun
from nbtrack.autologging.recording import Recording
from nbtrack.autologging.torch import models
from nbtrack.autologging.torch.epochs import Epochs
from nbtrack.autologging.torch.models import WatchedModel
from nbtrack.autologging.torch.returning import Return
from nbtrack.autologging.torch.source import Site
from nbtrack.autologging.torch.values import Number, Points, Series, mean, now_ms
from nbtrack.errors import NbtrackError
from nbtrack.models import take_snapshot
from nbtrack.settings import settings

_MB = 2**20
MODEL, BEST_MODEL = "model", "best_model"
_VALIDATION = ("val", "test", "eval", "dev")
_SECOND_MS = 1000


@dataclass(frozen=True)
class Call:
    """A call in the user's source, while a step goes on in it; equal wherever it is made again."""

    code: int
    instruction: int
    site: Site = field(compare=False)


Place = tuple[Call, ...]
"""The calls around a step, the outermost first."""


class Stepper:
    """An optimizer in a training, and how far it is.

    Parameters
    ----------
    training
        The training that it is a part of.
    name
        What the user calls it.
    place
        Where in the user's source it steps.
    """

    __slots__ = ("count", "name", "place", "rate", "rates", "series", "training")

    def __init__(self, training: Training, name: str, place: Place) -> None:
        self.training = training
        self.name = name
        self.place = place
        self.count = 0
        self.rate: object = None
        self.rates: dict[str, Number] = {}
        self.series: dict[str, Series] = {}


class Training:
    """A run of plain PyTorch.

    Parameters
    ----------
    recording
        Its run has begun.
    run
        That run.
    """

    def __init__(self, recording: Recording, run: TrackedRun) -> None:
        self.recording = recording
        self.run = run
        self.is_users = not recording.ours  # then it is left when the user leaves it
        self.thread = threading.get_ident()
        self.ended = False
        self.epochs: Epochs | None = None
        self.grad_norm = settings.gradient_norm
        self.batch_size: int | None = None
        self.models: list[WatchedModel] = []
        self.steppers: list[Stepper] = []
        self.leader: Stepper | None = None  # the first of them
        self._points = Points()
        self._every = recording.options.log_every_n_steps
        self._owners: dict[str, Stepper] = {}
        self._validation: dict[str, tuple[Number, int]] = {}
        self._validated: set[str] = set()
        self._results: set[str] = set()
        self._offset = 0  # what is added to the user's count of epochs, so that it never goes back
        self._last_epoch: int | None = None
        self._began = 0, now_ms()  # this epoch: steps so far, ms
        self._latest = 0  # ms of the last step
        self._length = 0  # steps of the epoch before
        self._return: Return | None = None  # of the function that has the epochs
        self._last_step = -1  # of the last epoch, as far as it is known
        self._best: float | None = None
        self._best_epoch: int | None = None
        self._best_at = 0  # steps
        self._best_key: str | None = None

    # -- what is in it

    def add(
        self,
        optimizer: Any,
        name: str,
        place: Place,
        frames: Sequence[FrameType],
    ) -> Stepper:
        """Take an optimizer in, and describe it and its models."""
        stepper = Stepper(self, name, place)
        prefix = "" if self.leader is None else f"{name}."
        self.steppers.append(stepper)
        self.leader = self.leader or stepper
        attempt = self.recording.attempt
        attempt("describe the optimizer", self._describe, optimizer, prefix, frames)
        found = attempt("find the model", models.find_models, optimizer, frames) or {}
        for called, model in found.items():
            if all(known.model is not model for known in self.models):
                attempt("describe the model", self.add_model, called, model)
        return stepper

    def _describe(self, optimizer: Any, prefix: str, frames: Sequence[FrameType]) -> None:
        params, chosen = models.optimizer_params(optimizer)
        params |= models.scheduler_params(optimizer, frames)
        chosen += [key for key in ("optimizer_name", "lr", "scheduler") if key in params]
        self.run.log_params(
            {prefix + key: value for key, value in params.items()},
            highlights=[prefix + key for key in dict.fromkeys(chosen)],
        )

    def add_model(self, name: str, model: Any) -> None:
        """Take a model in, and describe it."""
        prefix = f"{name}." if self.models else ""
        path = f"{MODEL}_{name}" if self.models else MODEL
        self.models.append(WatchedModel(name, path, model, self._model_goes))
        params = {prefix + key: value for key, value in models.model_params(model).items()}
        self.run.log_params(params, highlights=[f"{prefix}model"])
        self.run.log_plot(models.structure(model, name))

    def log_params(self, params: Mapping[str, object]) -> None:
        """Log params, unless there is nothing to log to."""
        self.recording.attempt("log the parameters", self.run.log_params, params)

    # -- steps

    def step(self, stepper: Stepper, optimizer: Any, losses: list[tuple[str, Number]]) -> None:
        """Log a step of an optimizer, with the losses since the one before.

        Every step of the user's comes by here: nothing is called that need not be.
        """
        now = time_ns() // 1_000_000
        count = stepper.count
        stepper.count = count + 1
        if self._every == 1 or count % self._every == 0:
            if len(losses) == 1:
                name, value = losses[0]
                values, steps, times = stepper.series.get(name) or self._loss(stepper, name)
                values.append(value)
                steps.append(count)
                times.append(now)
            else:
                self._log_losses(stepper, count, losses, now)
            if self.grad_norm:
                self._log_grad_norm(stepper, count, optimizer, now)
        rate = optimizer.param_groups[0]["lr"]
        if rate is not stepper.rate:
            stepper.rate = rate
            self._log_rates(stepper, count, optimizer, now)
        if stepper is self.leader:
            self._latest = now
            if count >= self._last_step >= 0:
                self._wait_for_return(count)
        if now >= self._points.due:
            self._points.flush_if_due(self.run, count, now)

    def _log_losses(
        self, stepper: Stepper, count: int, losses: list[tuple[str, Number]], now: int
    ) -> None:
        """Log the mean of each loss: there are several, or batches were accumulated."""
        by_name: dict[str, list[Number]] = {}
        for name, value in losses:
            by_name.setdefault(name, []).append(value)
        for name, values in by_name.items():
            series = stepper.series.get(name) or self._loss(stepper, name)
            for part, item in zip(series, (mean(values), count, now), strict=True):
                part.append(item)

    def _loss(self, stepper: Stepper, name: str) -> Series:
        """Return the metric of a loss: its name, or if that is another optimizer's, both names."""
        owner = self._owners.setdefault(name, stepper)
        key = name if owner is stepper else f"{name}_{stepper.name}"
        series = stepper.series[name] = self._points.series(key)
        return series

    def _log_rates(self, stepper: Stepper, count: int, optimizer: Any, now: int) -> None:
        """Log the learning rates that have changed."""
        name = "lr" if stepper is self.leader else f"lr_{stepper.name}"
        for i, group in enumerate(optimizer.param_groups):
            value = models.rate(group["lr"])
            key = f"{name}_group{i}" if i else name
            if value is not None and stepper.rates.get(key) != value:
                stepper.rates[key] = value
                self._points.add(key, count, value, now)

    def _log_grad_norm(self, stepper: Stepper, count: int, optimizer: Any, now: int) -> None:
        value = models.gradient_norm(optimizer)
        if value is not None:
            key = "grad_norm" if stepper is self.leader else f"grad_norm_{stepper.name}"
            self._points.add(key, count, value, now)

    def flush(self) -> None:
        """Write the points that wait."""
        self.recording.attempt("log the losses", self._points.flush, self.run)

    # -- epochs and validation

    def validate(self, name: str, total: Number, weight: int) -> None:
        """Take in a loss that was computed without gradients."""
        self._validated.add(name)
        if self._last_step < 0 and self.epochs is not None and self._is_last_epoch():
            self._last_step = self._steps() - 1
            self._wait_for_return(self._last_step)
        before, count = self._validation.get(name, (0.0, 0))
        self._validation[name] = before + total, count + weight

    def count_by(self, epochs: Epochs | None) -> None:
        """Let a loop count the epochs from now on; the numbers go on where they were."""
        self.epochs = epochs
        if epochs is not None:
            self._go_on_from(epochs.current)

    def steps_to_skip(self) -> int:
        """Return for how many steps the epoch will not be over, if it is as long as the others."""
        return self._began[0] + self._length - self._steps() - 2

    def _is_last_epoch(self) -> bool:
        """Whether the last epoch of a loop in a function is going on."""
        epochs = self.epochs
        return epochs is not None and epochs.space is None and epochs.current == epochs.last

    def _wait_for_return(self, count: int) -> None:
        """Read what the last epoch brings when its function returns; a further step ends that."""
        if self._return is not None:
            self._return.stop()
            self._return = None
        if count == self._last_step and self.epochs is not None:
            self._return = Return(self.epochs.code, self._returns)
            self._return.begin()
        else:
            self._last_step = -1

    def _returns(self, frame: FrameType) -> None:
        epochs = self.epochs
        if epochs is not None:
            attempt = self.recording.attempt
            results = attempt("read the results", epochs.results_in, frame, self._owners)
            attempt("log the last epoch", self._finish_epoch, results or {})
            self.epochs = None

    def _go_on_from(self, count: int) -> None:
        if self._last_epoch is not None and count + self._offset <= self._last_epoch:
            self._offset = self._last_epoch + 1 - count

    def look(self, frame: FrameType) -> bool:
        """See whether an epoch is over, and return it: the user's next one has begun in `frame`."""
        epochs = self.epochs
        if epochs is None:
            if self._validation:
                self._log_results({}, max(self._steps() - 1, 0))
            return False
        around = epochs.frame(frame)
        if around is None:
            return False
        count = epochs.counted(around)
        is_over = count != epochs.current
        if is_over:
            self._length = self._steps() - self._began[0]
            self._finish_epoch(epochs.results_in(around, self._owners))
            self._go_on_from(count)
        epochs.current = count
        if is_over:
            self._last_step = self._began[0] + self._length - 1 if self._is_last_epoch() else -1
        return is_over

    def _steps(self) -> int:
        return 0 if self.leader is None else self.leader.count

    def _finish_epoch(self, results: dict[str, Number]) -> None:
        epochs = self.epochs
        if epochs is None:
            return
        number = epochs.current + self._offset
        self._last_epoch = number
        (first, began), last, ended = self._began, self._steps(), self._latest
        if last - first > 1:
            self._points.add("epoch", last - 1, float(number), ended)
            if ended > began:
                rate = (last - first) * _SECOND_MS / (ended - began)
                self._points.add("steps_per_s", number, rate, ended)
                if self.batch_size:
                    self._points.add("samples_per_s", number, rate * self.batch_size, ended)
        self._began = last, now_ms()
        self._log_results(results, number)

    def _log_results(self, results: dict[str, Number], number: int) -> None:
        """Log what an epoch has brought, at its number; and keep the model if it is the best."""
        self._results |= results.keys()
        for name, (total, weight) in self._validation.items():
            # The user's own variable of that name has what the user computed.
            called = name if name.startswith(_VALIDATION) else f"val_{name}"
            if name not in self._results and called not in self._results:
                results[called] = total / max(weight, 1)
        self._validation = {}
        now = now_ms()
        for name, value in results.items():
            self._points.add(name, number, value, now)
        key = self._best_key or models.validation_metric(results, self._validated)
        if key is not None and key in results:
            value = float(results[key])
            if models.better(key, value, self._best):
                self._best, self._best_key, self._best_epoch = value, key, number
                self._best_at = self._steps()
                limit = settings.best_model_mb * _MB
                if limit and self.recording.options.log_models:
                    for model in self.models:
                        self.recording.attempt("keep the best model", model.remember_best, limit)

    # -- the end, and going on

    def resume(self) -> None:
        """Go on with the run: its optimizer does."""
        self.ended = False
        self.recording.go_on(self.run, ours=self.recording.ours)
        self._began = self._steps(), now_ms()

    def end(self, error: BaseException | None = None) -> None:
        """End the run, for now: write all that is left, and keep the models."""
        if self.ended:
            return
        self.ended = True
        if self._return is not None:
            self._return.stop()
        self.recording.attempt("log the last epoch", self._close_epoch, error)
        self.epochs = None
        self.flush()
        for model in self.models:
            self.recording.attempt("keep the model", self._keep, model)
        if error is None:
            self.recording.finish(lambda _: None)
        else:
            self.recording.fail(error)

    def _close_epoch(self, error: BaseException | None) -> None:
        if self.epochs is None:
            if self._validation:
                self._log_results({}, max(self._steps() - 1, 0))
            return
        results = self.epochs.last_results(self._owners) if error is None else {}
        self._finish_epoch(results)

    def _keep(self, model: WatchedModel) -> None:
        state = model.state()
        if not state:
            return
        if not self.recording.options.log_models:
            tally.skipped(self.recording.library, "model: log_models is off")
            return
        self._keep_state(model, state, model.path)
        if model.best is not None and self._best_at != self._steps():
            self._keep_state(model, model.best, model.path.replace(MODEL, BEST_MODEL, 1))
        if self._best_key is not None and self._best_epoch is not None:
            tags = {"nbtrack.best_epoch": str(self._best_epoch), "nbtrack.best_by": self._best_key}
            self.run.set_tags(tags)

    def _keep_state(self, model: WatchedModel, state: Mapping[str, Any], path: str) -> None:
        from nbtrack.models.flavors.torch import State

        held = State(state, model.model_class)
        try:
            snapshot = take_snapshot(held, "torch", max_bytes=settings.max_model_mb * _MB)
        except NbtrackError as error:
            self.recording.notice("model", f"The model {model.name} was not kept: {error}")
            return
        registered = self.recording.options.registered_model_name if path == model.path else None
        self.run.log_state(snapshot, path, registered_model_name=registered)
        tally.logged(self.recording.library, "models")

    def _model_goes(self, model: WatchedModel) -> None:
        """Keep a model that the user has let go of while its training is not at its end."""
        if not self.ended:
            self.recording.attempt("keep the model", self._keep, model)

    def leave(self, stepper: Stepper) -> None:
        """Let go of an optimizer that is no more; the last one takes the run along."""
        if stepper in self.steppers:
            self.steppers.remove(stepper)
        if not self.steppers:
            self.end()
