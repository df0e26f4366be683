"""Validation: losses that are computed without gradients, and the best epoch by a metric."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from nbtrack.autologging.torch import models
from nbtrack.autologging.torch.loops import SPLIT
from nbtrack.autologging.torch.values import Number, to_floats

_SAME = 1e-6
_UNNAMED = "val_loss"  # what a loss is called that has no telling name
_VALIDATION_LOSS = re.compile(r"(val|valid|validation|test|eval|dev)_\w*loss")


class Validation:
    """Losses of one epoch that were computed without gradients.

    Attributes
    ----------
    planned
        Batches of the loaders that began without gradients.
    """

    def __init__(self) -> None:
        self.planned = 0
        self._usual = 0  # losses in the epoch before
        self._heard = 0
        self._sums: dict[str, tuple[Number, int]] = {}
        self._parts: dict[str, list[Number]] = {}  # the last loss, where there were several
        self._metrics: set[str] = set()  # what the user calls such losses
        self._doubled: set[str] = set()  # losses that a variable of the user's has, too

    @property
    def is_told(self) -> bool:
        """Whether the end of a validation is heard each epoch."""
        return self._usual > 0

    def add(self, name: str, total: Number, weight: int, *, alone: bool) -> bool:
        """Take a loss in, and return whether it seems to be the last one.

        Parameters
        ----------
        total, weight
            The sum over samples, and how many there are.
        alone
            Whether it is computed once, and not for each batch.
        """
        before, count = self._sums.get(name, (0.0, 0))
        self._sums[name] = before + total, count + weight
        self._parts[name] = [total / max(weight, 1)] if count else []
        self._heard += 1
        expected = self._usual or self.planned or int(alone)
        return self._heard == expected

    def drop_partial(self) -> None:
        """Forget a validation that was broken off."""
        if self._heard < (self._usual or self.planned):
            self._sums, self._parts = {}, {}

    def take(self, results: Mapping[str, Number]) -> dict[str, Number]:
        """Return the means of this epoch, but those that `results` has; and begin anew."""
        if not self._sums:
            self.planned = 0
            return {}
        self._usual, self._heard, self.planned = self._heard, 0, 0
        names = [name if SPLIT.match(name) else f"val_{name}" for name in self._sums]
        means = to_floats([total / max(weight, 1) for total, weight in self._sums.values()])
        found: dict[str, Number] = {}
        for name, called, value in zip(self._sums, names, means, strict=True):
            own = {key for key in results if _is_same(key, results[key], name, called, value)}
            self._metrics |= own or {called}
            if name in own and self._is_last(name, results[name]):
                found[name] = value  # the variable has the last batch, and not all of them
            elif own:
                self._doubled.add(called)
            elif called not in self._doubled:
                found[called] = value
        self._sums, self._parts = {}, {}
        return found

    def _is_last(self, name: str, value: Number) -> bool:
        """Whether a variable has the last one of several losses."""
        if not self._parts[name]:
            return False
        one, other = to_floats([*self._parts[name], value])
        return math.isclose(one, other, rel_tol=_SAME)

    def metric(self, results: Mapping[str, Number]) -> str | None:
        """Return the metric by which the best model is chosen."""
        return models.validation_metric(results, self._metrics)


def _is_same(key: str, other: Number, name: str, called: str, value: float) -> bool:
    """Whether a result of the user's is a loss that was heard: by its name, or by its value."""
    if key in {name, called}:
        return True
    if "best" in key.lower():
        return False
    if called == _UNNAMED and _VALIDATION_LOSS.match(key):
        return True
    return isinstance(other, float) and math.isclose(other, value, rel_tol=_SAME)


class Best:
    """The best epoch so far.

    Attributes
    ----------
    key, epoch
        The metric that says so, and the epoch's number.
    steps
        How many steps there were.
    """

    def __init__(self) -> None:
        self.key: str | None = None
        self.epoch = 0
        self.steps = 0
        self._value: float | None = None

    def is_better(self, key: str | None, results: Mapping[str, Number]) -> bool:
        """Whether the results of an epoch are better; the first metric is the one that counts."""
        key = self.key or key
        if key is None or key not in results:
            return False
        value = float(results[key])
        if not models.better(key, value, self._value):
            return False
        self._value, self.key = value, key
        return True
