"""Numbers of tensors, without waiting for a device; points that wait to be written in blocks."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from nbtrack.autologging.integration import TrackedRun

Number = Any
"""A float, or a tensor with one element that nobody else changes."""

Series = tuple[list[Number], list[int], list[int]]

_BLOCK_MS = 500  # what a killed process may lose
_DEVICE_STEPS = 32  # at least so many steps between two transfers from a device


def torch() -> Any:
    """Return the torch that the user has imported."""
    return sys.modules["torch"]


def number(value: Any) -> Number | None:
    """Return a tensor's one number: at once from the CPU, as a copy on another device.

    None for anything else, also for tensors whose reading would be work of many processes.
    """
    library = torch()
    if type(value) is not library.Tensor and type(value) is not library.nn.Parameter:
        if not isinstance(value, library.Tensor):
            return None
        if type(value).__torch_dispatch__ is not library.Tensor.__torch_dispatch__:
            return None  # a distributed one, one of torch.func, a fake
        value = value.as_subclass(library.Tensor)
    if value.is_cpu:
        try:
            return float(value.item())
        except (RuntimeError, TypeError):
            return None  # more than one element; inside of torch.func; complex
    # While a graph is captured, a copy would become part of it.
    captured = value.is_cuda and library.cuda.is_current_stream_capturing()
    return None if captured or value.is_meta or value.numel() != 1 else value.detach().clone()


def result(value: Any) -> Number | None:
    """Return the number of a variable that may hold a result: a float of any kind."""
    if type(value) is float:
        return value
    if isinstance(value, float):
        return float(value)
    dtype = getattr(value, "dtype", None)
    if dtype is None or getattr(value, "ndim", 1) != 0:
        return None
    if isinstance(value, torch().Tensor):
        return None if value.requires_grad or not dtype.is_floating_point else number(value)
    return float(value) if getattr(dtype, "kind", "") == "f" else None


def mean(values: Sequence[Number]) -> Number:
    """Return the mean of numbers, on their device."""
    return values[0] if len(values) == 1 else sum(values) / len(values)


def to_floats(values: Sequence[Number]) -> list[float]:
    """Return numbers as floats: one transfer for all tensors of one kind."""
    found = [value if isinstance(value, float) else 0.0 for value in values]
    groups: dict[Any, list[int]] = {}
    for i, value in enumerate(values):
        if not isinstance(value, float):
            groups.setdefault((value.device, value.dtype), []).append(i)
    for places in groups.values():
        block = torch().stack([values[i].reshape(()) for i in places]).tolist()
        for i, value in zip(places, block, strict=True):
            found[i] = float(value)
    return found


class Points:
    """Points of a run that wait until there are enough of them, or half a second has passed.

    Attributes
    ----------
    due
        When to flush, in ms.
    """

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        self._flushed_at = 0
        self.due = 0

    def series(self, key: str) -> Series:
        """Return the waiting points of a metric: values, steps, and times in ms, to add to."""
        return self._series.setdefault(key, ([], [], []))

    def add(self, key: str, step: int, value: Number, now: int) -> None:
        """Let a point wait; `now` in ms."""
        values, steps, times = self.series(key)
        values.append(value)
        steps.append(step)
        times.append(now)

    def flush_if_due(self, run: TrackedRun, step: int, now: int) -> None:
        """Write what waits, unless it is on a device and has hardly begun to wait."""
        self.due = now + _BLOCK_MS
        on_device = any(
            values and type(values[-1]) is not float for values, *_ in self._series.values()
        )
        if not on_device or step - self._flushed_at >= _DEVICE_STEPS:
            self._flushed_at = step
            self.flush(run)

    def flush(self, run: TrackedRun) -> None:
        """Write all that waits."""
        for key, series in list(self._series.items()):
            values, steps, times = ([*part] for part in series)
            for part in series:
                part.clear()
            if values:
                run.log_history(key, to_floats(values), steps, times)


def now_ms() -> int:
    """Return the time in ms since 1970 UTC."""
    return time.time_ns() // 1_000_000
