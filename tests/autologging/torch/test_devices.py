"""Nothing waits for a device within a step: its numbers are read in blocks.

There is no device here that has to be waited for. So tensors are made to say that they are on one,
and every way to read a number of such a tensor is counted.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from nbtrack.autologging.torch import values

torch = pytest.importorskip("torch")

READS = ("item", "tolist", "cpu", "numpy", "__float__", "__bool__", "__int__")


class FarAway:
    """Makes losses look as if they were on another device, and counts what is read of them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reads: list[str] = []
        self.blocks = 0
        plain = torch.Tensor
        patch.setattr(values, "number", self.number)
        for module in ("listeners", "models"):
            patch.setattr(f"nbtrack.autologging.torch.{module}.number", self.number)
        patch.setattr("nbtrack.autologging.torch.results.result", self.result)
        for name in READS:
            patch.setattr(plain, name, self.counted(name, getattr(plain, name)), raising=False)

    def number(self, value: Any) -> Any:
        """What `values.number` does on a device: a copy there."""
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            return None
        return value.detach().clone()

    def result(self, value: Any) -> Any:
        return self.number(value) if isinstance(value, torch.Tensor) else None

    def counted(self, name: str, function: Any) -> Any:
        def read(tensor: Any, *args: Any, **kwargs: Any) -> Any:
            self.reads.append(name)
            return function(tensor, *args, **kwargs)

        return read


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> FarAway:
    return FarAway(monkeypatch)


LOOP = """
for epoch in range(2):
    for step in range(100):
        opt.zero_grad()
        loss = criterion(model(X), y).as_subclass(Far)
        loss.backward()
        opt.step()
        reads.append(len(far.reads))
"""


class Far(torch.Tensor):
    """A tensor that says it is not on the CPU."""

    @property
    def is_cpu(self) -> bool:
        return False


@pytest.mark.parametrize("gradient_norm", [False, True])
def test_steps_read_nothing(gradient_norm, far, tracker, run, monkeypatch):
    from nbtrack.settings import settings

    monkeypatch.setattr(settings, "values", {"gradient_norm": gradient_norm})
    run.space |= {"Far": Far, "far": far, "reads": []}
    assert run(LOOP) is None
    (tracked,) = tracker.runs
    assert [step for step, _ in tracked.metrics["loss"]] == list(range(200))
    # Once for each block and metric, of which half a second has at most a few: not with each step.
    reads = run.space["reads"]
    changes = sum(one != other for one, other in itertools.pairwise(reads))
    assert changes <= 200 // values._DEVICE_STEPS


def test_a_learning_rate_that_is_a_tensor(tracker, run):
    run(
        """
opt = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.5))
scheduler = torch.optim.lr_scheduler.ExponentialLR(opt, 0.5)
for epoch in range(3):
    loss = criterion(model(X), y)
    loss.backward()
    opt.step(); opt.zero_grad()
    scheduler.step()
"""
    )
    (tracked,) = tracker.runs
    assert tracked.metrics["lr"] == [(0, 0.5), (1, 0.25), (2, 0.125)]


def test_tensors_without_numbers(tracker, run):
    """What has no number is left out, and asked for none."""
    run(
        """
net = nn.Linear(4, 2, device="meta")
o = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(3):
    loss = net(torch.ones(5, 4, device="meta")).sum()
    loss.backward()
    o.step(); o.zero_grad()
    val = loss.detach()
"""
    )
    assert tracker.warnings == []
    assert all("loss" not in tracked.metrics for tracked in tracker.runs)
