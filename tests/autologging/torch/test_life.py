"""When a run of a loop begins, goes on and ends; and what happens when something goes wrong."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import pytest

from nbtrack import autologging
from nbtrack.autologging import options, tally
from nbtrack.testing.fakes import FakeTracker

torch = pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[3]

LOOP = """
for epoch in range(3):
    for xb, yb in loader:
        opt.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        opt.step()
    val_acc = (model(X).argmax(1) == y).float().mean().item()
"""


def script(text: str, workdir: Path, *arguments: str) -> str:
    """Run a script that tracks into a file, and return what it prints."""
    path = workdir / "script.py"
    path.write_text(textwrap.dedent(text))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NBTRACK_DB": str(workdir / "nbtrack.db")}
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=workdir, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert "could not" not in done.stderr, done.stderr
    return done.stdout


SCRIPT = """
import torch
from torch import nn
from nbtrack import autologging
from nbtrack.autologging.tracker import FluentTracker
autologging.enable(FluentTracker(), "torch")
torch.manual_seed(0)
X = torch.randn(60, 4)
y = (X.sum(1) > 0).long()
model = nn.Linear(4, 2)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
def train(epochs=3):
    for epoch in range(epochs):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(X), y)
        loss.backward()
        opt.step()
"""


def runs(workdir: Path):
    from nbtrack.tracking import Client

    client = Client(workdir / "nbtrack.db")
    try:
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(ids, order_by=["attribute.start_time ASC"]))
    finally:
        client.workspace.writer.close()


def test_the_next_cell_goes_on(tracker, run):
    run(LOOP)
    (tracked,) = tracker.runs
    assert tracked.status == "FINISHED"
    run("x = 1")
    run(LOOP)
    assert tracker.runs == [tracked]
    assert tracked.status == "FINISHED"
    assert [step for step, _ in tracked.metrics["loss"]] == list(range(18))
    assert [step for step, _ in tracked.metrics["val_acc"]] == list(range(6))
    assert [step for step, _ in tracked.metrics["epoch"]] == [2, 5, 8, 11, 14, 17]


def test_a_new_optimizer_is_a_new_run(tracker, run):
    run(LOOP)
    run("opt = torch.optim.SGD(model.parameters(), lr=0.2)" + LOOP)
    assert [r.params["lr"] for r in tracker.runs] == ["0.1", "0.2"]


def test_an_interrupt(tracker, run):
    raised = run(
        LOOP.replace("opt.step()", "opt.step()\n        if epoch: raise KeyboardInterrupt")
    )
    assert isinstance(raised, KeyboardInterrupt)
    (tracked,) = tracker.runs
    assert tracked.status == "KILLED"
    assert len(tracked.metrics["loss"]) == 4
    assert "model" in tracked.states


def test_an_exception(tracker, run):
    raised = run(LOOP.replace("opt.step()", "opt.step()\n        if epoch: 1 / 0"))
    assert isinstance(raised, ZeroDivisionError)
    (tracked,) = tracker.runs
    assert tracked.status == "FAILED"
    assert "ZeroDivisionError" in tracked.error
    assert len(tracked.metrics["loss"]) == 4


def test_the_run_of_the_user(tracker, run):
    tracker.active = tracker.begin_run("mine")
    run(LOOP)
    assert [r.name for r in tracker.runs] == ["mine"]
    (mine,) = tracker.runs
    assert mine.status is None
    assert len(mine.metrics["loss"]) == 9


def test_switched_off(tracker, run, monkeypatch):
    monkeypatch.setattr(options, "_chosen", {})
    options.choose(options.Options(disable=True), "torch")
    run(LOOP)
    assert tracker.runs == []
    assert tally.counts("torch")[1]["switched off"] == 1


def test_off_for_a_cell(tracker, run):
    from nbtrack.autologging import scope

    run(LOOP)
    scope.switch(False)
    run(LOOP)
    scope.switch(True)
    run(LOOP)
    (tracked,) = tracker.runs
    assert len(tracked.metrics["loss"]) == 18


def test_no_models(tracker, run, monkeypatch):
    monkeypatch.setattr(options, "_chosen", {})
    options.choose(options.Options(log_models=False), "torch")
    run(LOOP)
    assert tracker.runs[0].states == {}


def test_inside_of_other_fits(tracker, run):
    from nbtrack.autologging import scope

    def fit() -> None:
        assert run(LOOP) is None

    scope.absorb(fit, (), {})
    assert tracker.runs == []


def test_trainers_of_libraries_are_left_to_them(tracker, run):
    run("__name__ = 'skorch.net'\n" + LOOP)
    assert tracker.runs == []


@pytest.mark.parametrize("verb", ["begin_run", "log_history", "log_params", "log_state", "end"])
def test_a_failing_store(verb, tracker, run):
    tracker.failing = {verb}
    assert run(LOOP) is None
    assert tracker.warnings
    tracker.warnings.clear()


def test_threads(tracker, run):
    before = set(threading.enumerate())
    run(
        """
import threading
def work(seed):
    net = make()
    o = torch.optim.SGD(net.parameters(), lr=seed)
    for epoch in range(5):
        o.zero_grad()
        loss = criterion(net(X), y)
        loss.backward()
        o.step()
threads = [threading.Thread(target=work, args=(0.1 * i,)) for i in range(1, 4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    )
    assert sorted(r.params["lr"][:3] for r in tracker.runs) == ["0.1", "0.2", "0.3"]
    assert [len(r.metrics["loss"]) for r in tracker.runs] == [5, 5, 5]
    assert [r.status for r in tracker.runs] == ["FINISHED"] * 3
    begun = {thread.name for thread in set(threading.enumerate()) - before}
    assert begun <= {"nbtrack-later", "nbtrack-writer"}


def test_workers_and_forks_log_nothing(tracker, run):
    run(
        """
import os
data = TensorDataset(X, y)
loader = DataLoader(data, batch_size=20, num_workers=2, multiprocessing_context="fork")
"""
        + LOOP
        + """
child = os.fork()
if child == 0:
    try:
        o = torch.optim.SGD(model.parameters(), lr=1.0)
        loss = model(X).sum(); loss.backward(); o.step()
    finally:
        os._exit(0)
os.waitpid(child, 0)
"""
    )
    (tracked,) = tracker.runs
    assert len(tracked.metrics["loss"]) == 9


def test_memory_is_not_kept(tracker, run):
    run(
        """
import weakref
def fit():
    net = make()
    o = torch.optim.SGD(net.parameters(), lr=0.1)
    big = torch.zeros(1000)
    refs = weakref.ref(big), weakref.ref(net), weakref.ref(o)
    seen = []
    for epoch in range(5):
        o.zero_grad()
        loss = criterion(net(X), y)
        (loss / 2).backward()
        o.step()
        if epoch == 3:
            del big
        seen.append(refs[0]() is None)
    return refs, seen
refs, seen = fit()
gone = [ref() is None for ref in refs]
"""
    )
    assert run.space["seen"] == [False, False, False, True, True]
    assert run.space["gone"] == [True, True, True]
    (tracked,) = tracker.runs
    assert tracked.status == "FINISHED"  # before the cell was at its end
    assert tracked.states["model"].size_bytes > 58 * 4  # kept while the module went


def test_locals_of_the_user_stay(tracker, run):
    run(
        """
def fit(rate=0.1):
    settings = locals()
    net = make()
    o = torch.optim.SGD(net.parameters(), lr=rate)
    for epoch in range(20):
        o.zero_grad()
        loss = criterion(net(X), y)
        (loss / 2).backward()
        o.step()
    return settings["rate"]
rate = fit()
"""
    )
    assert run.space["rate"] == 0.1


def test_the_model_that_is_let_go(tracker, run):
    run(LOOP + "expected = model[0].weight.detach().clone()\ndel model, opt")
    (tracked,) = tracker.runs
    from safetensors.torch import load

    state = load(tracked.states["model"].files["model.safetensors"])
    assert torch.equal(state["0.weight"], run.space["expected"])


def test_best_model(tracker, run):
    run(
        """
scores = iter([0.5, 0.9, 0.7])
kept = []
for epoch in range(3):
    for xb, yb in loader:
        opt.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        opt.step()
    val_acc = float(next(scores))
    kept.append(model[0].weight.detach().clone())
"""
    )
    from safetensors.torch import load

    (tracked,) = tracker.runs
    assert tracked.tags["nbtrack.best_epoch"] == "1"
    assert tracked.tags["nbtrack.best_by"] == "val_acc"
    best, last = (
        load(tracked.states[path].files["model.safetensors"])["0.weight"]
        for path in ("best_model", "model")
    )
    assert torch.equal(best, run.space["kept"][1])
    assert torch.equal(last, run.space["kept"][2])


def test_best_model_within_bounds(tracker, run, monkeypatch):
    from nbtrack.settings import settings

    monkeypatch.setattr(settings, "values", {"best_model_mb": 0})
    run(LOOP.replace("val_acc =", "val_acc = -epoch +"))
    assert set(tracker.runs[0].states) == {"model"}


def test_a_script(workdir):
    script(SCRIPT + "train()", workdir)
    (run,) = runs(workdir)
    assert run.info.status == "FINISHED"
    assert run.data.summaries["loss"].count == 3


def test_a_script_that_fails(workdir):
    script(SCRIPT + "train()\n1 / 0", workdir)
    (run,) = runs(workdir)
    assert run.info.status == "FAILED"
    assert run.data.summaries["loss"].count == 3


def test_a_script_with_runs_of_its_own(workdir):
    script(
        SCRIPT
        + """
import nbtrack
for name in ("a", "b"):
    with nbtrack.start_run(run_name=name):
        train(4)
""",
        workdir,
    )
    found = runs(workdir)
    assert [(r.info.run_name, r.data.summaries["loss"].count) for r in found] == [
        ("a", 4),
        ("b", 4),
    ]


def test_processes_of_one_training(workdir):
    """Only the first of them logs."""
    out = script(
        """
        import os, sys
        import torch, torch.distributed as dist, torch.multiprocessing as mp
        from torch import nn
        def work(rank, port):
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            from nbtrack import autologging
            from nbtrack.testing.fakes import FakeTracker
            tracker = FakeTracker()
            autologging.enable(tracker, "torch")
            dist.init_process_group("gloo", rank=rank, world_size=2)
            model = nn.parallel.DistributedDataParallel(nn.Linear(4, 2))
            opt = torch.optim.SGD(model.parameters(), lr=0.1)
            for epoch in range(3):
                loss = model(torch.ones(5, 4)).sum()
                loss.backward()
                opt.step(); opt.zero_grad()
            dist.barrier()
            autologging.disable()
            for run in tracker.runs:
                print("rank", rank, len(run.metrics["loss"]), run.params["model"], flush=True)
            print(tracker.warnings)
            dist.destroy_process_group()
        if __name__ == "__main__":
            import socket
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = str(free.getsockname()[1])
            mp.spawn(work, args=(port,), nprocs=2)
        """,
        workdir,
    )
    assert [line for line in out.splitlines() if line.startswith("rank")] == ["rank 0 3 Linear"]


def test_nothing_is_left(tracker, run):
    run(LOOP)
    model = weakref.ref(run.space["model"])
    optimizer = weakref.ref(run.space["opt"])
    run.space.clear()
    gc.collect()
    assert model() is None
    assert optimizer() is None


def test_unloading_ends_what_goes_on(tracker: FakeTracker):
    space = {"__name__": "__main__"}
    exec(
        "import torch\nw = torch.ones(1, requires_grad=True)\no = torch.optim.SGD([w], lr=0.1)\n"
        "loss = w * 2\nloss.backward()\no.step()",
        space,
    )
    autologging.disable()
    assert tracker.runs[0].status == "FINISHED"
    exec("loss = w * 2\nloss.backward()\no.step()", space)
    assert len(tracker.runs[0].metrics["loss"]) == 1
