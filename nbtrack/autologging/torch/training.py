"""One training: the optimizers that step in it, what they log, and how its run goes on and ends."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from time import time_ns
from types import CodeType, FrameType
from typing import Any

from nbtrack.autologging.integration import TrackedRun
from nbtrack.autologging.options import options
from nbtrack.autologging.recording import Recording
from nbtrack.autologging.torch import frames, models
from nbtrack.autologging.torch.epochs import Epochs
from nbtrack.autologging.torch.frames import user_frame
from nbtrack.autologging.torch.keeping import MODEL, keep
from nbtrack.autologging.torch.models import WatchedModel
from nbtrack.autologging.torch.returning import Return
from nbtrack.autologging.torch.source import Site, site_of
from nbtrack.autologging.torch.steppers import Place, Stepper
from nbtrack.autologging.torch.validation import Best, Validation
from nbtrack.autologging.torch.values import Number, Points, Series, now_ms, result
from nbtrack.settings import settings

_MB = 2**20
_SECOND_NS = 10**9
_RATE_EVERY_NS = 10 * _SECOND_NS  # where there are no epochs
_OWN = {"lr", "epoch", "steps_per_s", "samples_per_s"}  # the user's variables are not logged as


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
        self._names = set(_OWN)  # of metrics that no variable of the user's gives
        self._validation = Validation()
        self._best = Best()
        self._offset = 0  # what is added to the user's count of epochs, so that it never goes back
        self._last_epoch: int | None = None
        self._began = 0  # this epoch: steps before
        self._clock = 1, time_ns()  # this epoch, or stretch: steps before, ns
        self._latest = 0  # ns of the last step
        self._length = 0  # steps of the epoch before
        self._is_rated = False
        self._is_validated = False  # since the last step
        self._return: Return | None = None  # of the function that has the epochs
        self._last_step = -1  # of the last epoch, as far as it is known

    # -- what is in it

    def add(
        self,
        optimizer: Any,
        name: str,
        place: Place,
        around: Sequence[FrameType],
    ) -> Stepper:
        """Take an optimizer in, and describe it and its models."""
        stepper = Stepper(self, name, place)
        prefix = "" if self.leader is None else f"{name}."
        self.steppers.append(stepper)
        self.leader = self.leader or stepper
        attempt = self.recording.attempt
        attempt("describe the optimizer", self._describe, optimizer, prefix, around)
        found = attempt("find the model", models.find_models, optimizer, around) or {}
        for called, model in found.items():
            if all(known.model is not model for known in self.models):
                attempt("describe the model", self.add_model, called, model)
        return stepper

    def describe_loss(self, text: str) -> None:
        """Note what computes the loss."""
        if text:
            self.run.log_params({"loss_function": text}, highlights=["loss_function"])

    def _describe(self, optimizer: Any, prefix: str, around: Sequence[FrameType]) -> None:
        params, chosen = models.optimizer_params(optimizer)
        params |= models.scheduler_params(optimizer, around)
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
        now_ns = time_ns()
        now = now_ns // 1_000_000
        count = stepper.count
        stepper.count = count + 1
        if count % self._every == 0:
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
        if type(rate) not in {float, int}:
            rate = id(rate), rate._version  # a tensor, which schedulers change in place
        if rate != stepper.rate:
            stepper.rate = rate
            self._log_rates(stepper, count, optimizer, now)
        if stepper is self.leader:
            self._latest = now_ns
            if self._is_validated or count >= self._last_step >= 0:
                self._after_validation(count)
        if now >= self._points.due:
            self._flush_if_due(count, now_ns)

    def _log_losses(
        self, stepper: Stepper, count: int, losses: list[tuple[str, Number]], now: int
    ) -> None:
        for name, value in losses:
            series = stepper.series.get(name) or self._loss(stepper, name)
            for part, item in zip(series, (value, count, now), strict=True):
                part.append(item)

    def _flush_if_due(self, count: int, now_ns: int) -> None:
        self._points.flush_if_due(self.run, count, now_ns // 10**6)
        if self._length <= 1 and now_ns - self._clock[1] > _RATE_EVERY_NS:
            self._log_rate(count)

    def _loss(self, stepper: Stepper, name: str) -> Series:
        """Return the metric of a loss: its name, or if that is another optimizer's, both names."""
        owner = self._owners.setdefault(name, stepper)
        key = name if owner is stepper else f"{name}_{stepper.name}"
        self._names |= {name, key}
        series = stepper.series[name] = self._points.series(key)
        return series

    def _log_rates(self, stepper: Stepper, count: int, optimizer: Any, now: int) -> None:
        """Log the learning rates that have changed."""
        name = "lr" if stepper is self.leader else f"lr_{stepper.name}"
        for i, group in enumerate(optimizer.param_groups):
            value = models.rate(group["lr"])
            key = f"{name}_group{i}" if i else name
            if value is None:
                continue
            # To compare numbers of another device would be to wait for it.
            if not isinstance(value, float) or stepper.rates.get(key) != value:
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

    def validate(self, frame: FrameType, site: Site, total: Number, weight: int) -> None:
        """Take in a loss that was computed without gradients, where `frame` calls for it."""
        validation = self._validation
        if not self._is_validated:
            self.look(frame)
            self._note(frame)
        self._is_validated = True
        epochs = self.epochs
        is_loops = epochs is not None and epochs.code is frame.f_code
        alone = len(site.loops) <= is_loops  # and not in a loop over batches
        if validation.add(site.target or "loss", total, weight, alone=alone) and epochs is not None:
            self._wait_for_end(epochs, frame)

    def _note(self, frame: FrameType) -> None:
        """Read the variables of the epochs' loop, somewhere in which `frame` runs."""
        around = None if self.epochs is None else self.epochs.frame(frame)
        if self.epochs is not None and around is not None:
            self.epochs.note(around, self._names)

    def expect(self, batches: int) -> None:
        """Note how many batches a loader has that begins without gradients."""
        self._validation.planned += batches

    def _wait_for_end(self, epochs: Epochs, frame: FrameType) -> None:
        """Read what a validation leaves behind in its function, and that of the epochs."""
        tell: dict[CodeType, Callable[[FrameType], None]] = {}
        caller = user_frame(frame.f_back) if frame.f_code is not epochs.code else None
        if caller is not None and site_of(caller).is_dropped:
            tell[frame.f_code] = partial(self._validated, site_of(frame).stores)
        if epochs.space is None:
            tell[epochs.code] = self._returns
        self._wait(tell)

    def _validated(self, names: Iterable[str], frame: FrameType) -> None:
        """Take in the floats of a function that validates and whose result nobody takes."""
        found = {name: result(value) for name, value in frames.read(frame, names).items()}
        if self.epochs is not None:
            own = {k: v for k, v in found.items() if v is not None and k not in self._names}
            self.epochs.add(own)

    def count_by(self, epochs: Epochs | None) -> None:
        """Let a loop count the epochs from now on; the numbers go on where they were."""
        self.epochs = epochs
        if epochs is not None:
            self._go_on_from(epochs.current)

    def steps_to_skip(self) -> int:
        """Return for how many steps the epoch will not be over, if it is as long as the others."""
        return self._began + self._length - self._steps() - 2

    def _is_last_epoch(self) -> bool:
        """Whether the last epoch of a loop in a function is going on."""
        epochs = self.epochs
        return epochs is not None and epochs.space is None and epochs.current == epochs.last

    def _after_validation(self, count: int) -> None:
        """Read what was assigned around a validation; wait for the end of the last epoch."""
        if self._is_validated:
            self._is_validated = False
            self._note(sys._getframe(1))
        tell: dict[CodeType, Callable[[FrameType], None]] = {}
        if count == self._last_step and self.epochs is not None and not self._validation.is_told:
            tell[self.epochs.code] = self._returns
        elif count >= self._last_step:
            self._last_step = -1
        self._wait(tell)

    def _wait(self, tell: Mapping[CodeType, Callable[[FrameType], None]]) -> None:
        """Wait for functions to return, and for no others any more."""
        if self._return is not None:
            self._return.stop()
        self._return = Return(tell) if tell else None
        if self._return is not None:
            self._return.begin()

    def _returns(self, frame: FrameType) -> None:
        epochs = self.epochs
        if epochs is not None:
            attempt = self.recording.attempt
            results = attempt("read the results", epochs.returned, frame, self._names)
            attempt("log the last epoch", self._finish_epoch, results or {})
            self.epochs = None

    def _go_on_from(self, count: int) -> None:
        if self._last_epoch is not None and count + self._offset <= self._last_epoch:
            self._offset = self._last_epoch + 1 - count

    def look(self, frame: FrameType) -> bool:
        """See whether an epoch is over, and return it: the user's next one has begun in `frame`."""
        epochs = self.epochs
        if epochs is None:
            self._log_results({}, max(self._steps() - 1, 0))
            return False
        around = epochs.frame(frame)
        if around is None:
            return False
        count = epochs.counted(around)
        is_over = count != epochs.current
        if is_over:
            self._length = self._steps() - self._began
            self._finish_epoch(epochs.over(around, self._names))
            self._go_on_from(count)
        epochs.current = count
        if is_over:
            self._last_step = self._began + self._length - 1 if self._is_last_epoch() else -1
        return is_over

    def _steps(self) -> int:
        return 0 if self.leader is None else self.leader.count

    def _finish_epoch(self, results: dict[str, Number]) -> None:
        epochs = self.epochs
        if epochs is None:
            return
        number = epochs.current + self._offset
        self._last_epoch = number
        last = self._steps()
        if last - self._began > 1:
            ended = self._latest // 10**6
            self._points.add("epoch", last - 1, float(number), ended)
            self._log_rate(number)
        self._began = last
        self._log_results(results, number)

    def _log_rate(self, step: int) -> None:
        """Log how fast the steps were since the last time."""
        (first, began), last, ended = self._clock, self._steps(), self._latest
        self._clock = last, time_ns()
        if last <= first or ended <= began:
            return
        self._is_rated = True
        rate, now = (last - first) * _SECOND_NS / (ended - began), ended // 10**6
        self._points.add("steps_per_s", step, rate, now)
        if self.batch_size:
            self._points.add("samples_per_s", step, rate * self.batch_size, now)

    def _log_results(self, results: dict[str, Number], number: int) -> None:
        """Log what an epoch has brought, at its number; and keep the model if it is the best."""
        results = results | self._validation.take(results)
        if not results:
            return
        now = now_ms()
        for name, value in results.items():
            self._points.add(name, number, value, now)
        if self._best.is_better(self._validation.metric(results), results):
            self._best.epoch, self._best.steps = number, self._steps()
            limit = settings.best_model_mb * _MB
            if limit and self.recording.options.log_models:
                for model in self.models:
                    self.recording.attempt("keep the best model", model.remember_best, limit)

    # -- the end, and going on

    def resume(self) -> None:
        """Go on with the run: its optimizer does."""
        self.ended = False
        self.recording.options = options(self.recording.library)
        self._every = self.recording.options.log_every_n_steps
        self.recording.go_on(self.run, ours=self.recording.ours)
        self._began = self._steps()
        self._clock = self._began + 1, time_ns()  # the first step is over

    def end(self, error: BaseException | None = None) -> None:
        """End the run, for now: write all that is left, and keep the models."""
        if self.ended:
            return
        self.ended = True
        self._wait({})
        self.recording.attempt("log the last epoch", self._close_epoch, error)
        self.epochs = None
        if not self._is_rated:
            self._log_rate(max(self._steps() - 1, 0))
        self.flush()
        for model in self.models:
            self.recording.attempt("keep the model", self._keep, model)
        if error is None:
            self.recording.finish(lambda _: None)
        else:
            self.recording.fail(error)

    def _close_epoch(self, error: BaseException | None) -> None:
        if error is not None:
            self._validation.drop_partial()
        if self.epochs is None:
            self._log_results({}, max(self._steps() - 1, 0))
            return
        # What a loop that was broken off has assigned last may be half of a sum.
        last = self.epochs.noted() if error else self.epochs.last_results(self._names)
        self._finish_epoch(last)

    def _keep(self, model: WatchedModel) -> None:
        keep(self.recording, self.run, model, self._best, self._steps())

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
