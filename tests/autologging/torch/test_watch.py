"""`nbtrack.watch`: runs of trainings that cannot be seen."""

from __future__ import annotations

import pytest

import nbtrack
from nbtrack import autologging
from nbtrack.errors import InvalidParameterError, StoreError

torch = pytest.importorskip("torch")


def test_a_training_without_steps(tracker, run):
    run(
        """
import nbtrack
tracked = nbtrack.watch(model)
for step in range(3):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    tracked.log_metrics({"loss": 1.0 / (step + 1)}, step)
"""
    )
    (tracked,) = tracker.runs
    assert tracked is run.space["tracked"]
    assert (tracked.name, tracked.status) == ("Sequential", "FINISHED")
    assert tracked.params["n_params"] == "58"
    assert len(tracked.metrics["loss"]) == 3
    assert "model" in tracked.states


def test_steps_that_are_seen_go_to_the_same_run(tracker, run):
    loop = """
for epoch in range(2):
    for xb, yb in loader:
        loss = criterion(model(xb), yb)
        loss.backward()
        opt.step(); opt.zero_grad()
    val_acc = epoch / 3
"""
    run("import nbtrack\none = nbtrack.watch(model, opt, gradient_norm=True)" + loop)
    run("other = nbtrack.watch(model, opt)\n" + loop)
    (tracked,) = tracker.runs
    assert run.space["one"] is run.space["other"] is tracked
    assert [step for step, _ in tracked.metrics["loss"]] == list(range(12))
    assert [step for step, _ in tracked.metrics["grad_norm"]] == list(range(12))
    assert [step for step, _ in tracked.metrics["val_acc"]] == [0, 1, 2, 3]
    assert tracked.params["optimizer_name"] == "SGD"


@pytest.mark.filterwarnings("ignore")
def test_a_step_that_is_compiled_as_a_whole(tracker, run):
    run(
        """
import nbtrack
tracked = nbtrack.watch(model, opt)
@torch.compile(backend="eager")
def step(xb, yb):
    loss = criterion(model(xb), yb)
    loss.backward()
    opt.step()
    opt.zero_grad()
    return loss
for i in range(3):
    tracked.log_metrics({"train_loss": step(X, y).item()}, i)
"""
    )
    (tracked,) = tracker.runs
    assert [step for step, _ in tracked.metrics["train_loss"]] == [0, 1, 2]
    assert tracked.status == "FINISHED"
    assert "model" in tracked.states


def test_by_itself(workdir):
    nbtrack.set_tracking_uri(workdir / "nbtrack.db")
    try:
        run = nbtrack.watch(torch.nn.Linear(2, 1))
        assert isinstance(run, nbtrack.ActiveRun)
        assert run.params["model"] == "Linear"
    finally:
        autologging.disable()
        nbtrack.set_tracking_uri("")


def test_what_cannot_be_watched(tracker):
    with pytest.raises(InvalidParameterError, match="A str cannot be watched"):
        nbtrack.watch("model")
    with pytest.raises(InvalidParameterError, match="A float is no optimizer"):
        nbtrack.watch(torch.nn.Linear(1, 1), 0.1)
    tracker.failing = {"begin_run"}
    with pytest.raises(StoreError):
        nbtrack.watch(torch.nn.Linear(1, 1))
    tracker.warnings.clear()
