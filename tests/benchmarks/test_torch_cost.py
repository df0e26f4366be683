"""What following a PyTorch loop costs: ``pytest -s tests/benchmarks/test_torch_cost.py``.

Loops with and without take turns, since the machine is not ours alone; everything is stored.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack import autologging
from nbtrack.autologging.tracker import FluentTracker

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.benchmark

FLAT = """
for step in range(steps):
    optimizer.zero_grad()
    loss = criterion(model(X), y)
    loss.backward()
    optimizer.step()
"""
EPOCHS = """
def train(epochs):
    for epoch in range(epochs):
        for _ in range(steps // epochs):
            optimizer.zero_grad()
            loss = criterion(model(X), y)
            loss.backward()
            optimizer.step()
        val_acc = float(epoch)
train(10)
"""
# name: loop, width, steps in a round, rounds
LOOPS = {
    "small step, flat loop": (FLAT, 8, 1000, 9),
    "small step, epochs in a function": (EPOCHS, 8, 1000, 9),
    "5 ms step": (EPOCHS, 640, 100, 15),
}


def namespace(width: int, steps: int) -> dict[str, Any]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, 4)
    )
    return {
        "__name__": "__main__",
        "X": torch.randn(width, width),
        "y": torch.randint(0, 4, (width,)),
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.01),
        "criterion": torch.nn.CrossEntropyLoss(),
        "steps": steps,
    }


def measure(code: Any, space: dict[str, Any]) -> tuple[float, float]:
    thread, process = time.thread_time(), time.process_time()
    exec(code, space)
    return time.thread_time() - thread, time.process_time() - process


@pytest.mark.parametrize("name", LOOPS)
def test_step(name: str, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, width, steps, rounds = LOOPS[name]
    path = workdir / "loop.py"
    path.write_text(text)
    code = compile(text, str(path), "exec")
    nbtrack.set_tracking_uri(workdir / "nbtrack.db")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    on: list[tuple[float, float]] = []
    off: list[tuple[float, float]] = []
    space = namespace(width, steps)
    try:
        exec(code, space)
        for _ in range(rounds):
            off.append(measure(code, space))
            autologging.enable(FluentTracker(), "torch")
            exec(code, {**namespace(width, 10), "steps": 10})  # the first run makes the database
            space = namespace(width, steps)
            on.append(measure(code, space))
            process = time.process_time()
            nbtrack.flush()
            on[-1] = on[-1][0], on[-1][1] + time.process_time() - process
            autologging.disable()
            space = namespace(width, steps)
    finally:
        autologging.disable()
        torch.set_num_threads(threads)
        nbtrack.set_tracking_uri("")
    (thread_off, process_off), (thread_on, process_on) = (
        [statistics.median(column) / steps * 1e6 for column in zip(*rows, strict=True)]
        for rows in (off, on)
    )
    pairs = [(a[1] - b[1]) / steps * 1e6 for a, b in zip(on, off, strict=True)]
    with capsys.disabled():
        print(
            f"\n{name}: {process_off:.0f} us a step; followed {thread_on - thread_off:+.1f} us on"
            f" the calling thread, {process_on - process_off:+.1f} us in all (median of pairs"
            f" {statistics.median(pairs):+.1f}), ratio {process_on / process_off:.4f}"
        )
