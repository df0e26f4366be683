"""What following a PyTorch loop costs: ``pytest -s tests/benchmarks/test_torch_cost.py``.

Stretches of one loop are followed and not followed in turns, since the machine is not ours alone.
A stretch is long enough for Python to get used to the code anew. Each that is followed is compared
with those before and after it; what is printed is the median, and its standard error. The last
figure is that of a listener alone.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack import autologging
from nbtrack.autologging import torch as integration
from nbtrack.autologging.patching import Patches
from nbtrack.autologging.torch import listeners
from nbtrack.autologging.tracker import FluentTracker

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.benchmark

LOOP = """
for epoch in range(1):
    for _ in range(steps):
        optimizer.zero_grad()
        loss = criterion(model(X), y)
        loss.backward()
        optimizer.step()
        tick()
"""
# name: width of the layers, steps in a stretch, stretches
LOOPS = {"small step": (8, 400, 60), "step of some ms": (512, 100, 40)}


class Stretches:
    """Switches the listeners on and off, and keeps the times of each stretch."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.count = 0
        self.rows: list[tuple[float, float]] = []  # us of a step: of the thread, of the process
        self.begin = self.clock()

    def clock(self) -> tuple[float, float]:
        return time.thread_time(), time.process_time()

    def __call__(self) -> None:
        self.count += 1
        if self.count % self.length:
            return
        spent = zip(self.clock(), self.begin, strict=True)
        thread, process = ((end - begin) / self.length * 1e6 for end, begin in spent)
        self.rows.append((thread, process))
        if len(self.rows) % 2 == 0:
            integration.install(torch, Patches())
        else:
            integration._Installed.taps.restore()
            integration._Installed.handle.remove()
        self.begin = self.clock()

    def differences(self, clock: int) -> tuple[float, float, float]:
        """Return a step that is not followed, what following adds, and the error of that."""
        times = [row[clock] for row in self.rows]
        places = range(4, len(times) - 1, 2)  # the first ones are slower
        found = [times[i] - (times[i - 1] + times[i + 1]) / 2 for i in places]
        low, _, high = statistics.quantiles(found, n=4)
        error = 1.25 * (high - low) / 1.35 / len(found) ** 0.5
        return statistics.median(times[5::2]), statistics.median(found), error


@pytest.mark.parametrize("name", LOOPS)
def test_step(name: str, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    width, length, count = LOOPS[name]
    path = workdir / "loop.py"
    path.write_text(LOOP)
    torch.manual_seed(0)
    layers = torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, 4)
    model = torch.nn.Sequential(*layers)
    stretches = Stretches(length)
    space: dict[str, Any] = {
        "__name__": "__main__",
        "X": torch.randn(width, width),
        "y": torch.randint(0, 4, (width,)),
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.01),
        "criterion": torch.nn.CrossEntropyLoss(),
        "steps": length * count,
        "tick": stretches,
    }
    nbtrack.set_tracking_uri(workdir / "nbtrack.db")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    autologging.enable(FluentTracker(), "torch")
    try:
        exec(compile(LOOP, str(path), "exec"), space)
    finally:
        autologging.disable()
        torch.set_num_threads(threads)
        nbtrack.set_tracking_uri("")
    with capsys.disabled():
        print(f"\n{name}; followed, card aside, all stored:")
        for clock, of in enumerate(("thread", "process")):
            off, more, error = stretches.differences(clock)
            print(
                f"  CPU of the {of}: {off:.0f} us, {more:+.1f} (error {error:.1f}) us,"
                f" ratio {1 + more / off:.4f}"
            )


def test_listeners_alone(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    w = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    space = {"w": w, "optimizer": optimizer, "__name__": "__main__"}
    loop = "for i in range(3):\n    loss = w.sum()\n    loss.backward()\n    optimizer.step()\n"
    nbtrack.set_tracking_uri(workdir / "nbtrack.db")
    autologging.enable(FluentTracker(), "torch")
    step = sys.modules["torch.optim.optimizer"]._global_optimizer_post_hooks
    hook = list(step.values())[-1]
    losses = listeners.thread.here.losses
    try:
        exec(loop, space)
        begin = time.thread_time()
        for _ in range(100_000):
            losses.append(("loss", 0.5))
            hook(optimizer, (optimizer,), {})
        spent = (time.thread_time() - begin) * 10
    finally:
        autologging.disable()
        nbtrack.set_tracking_uri("")
    with capsys.disabled():
        print(f"\na step's listener alone, with its points stored: {spent:.2f} us")
