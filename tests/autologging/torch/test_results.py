"""What is read of the user's variables: the right name, the right epoch, and nothing twice."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("torch")

OURS = {"loss", "lr", "epoch", "steps_per_s", "samples_per_s"}

EPOCH = """
    for xb, yb in loader:
        opt.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        opt.step()
"""


def curves(run: Any) -> dict[str, list[tuple[int, float]]]:
    """Return what was logged beside what every training has."""
    return {key: points for key, points in run.metrics.items() if key not in OURS}


def steps(run: Any, key: str) -> list[int]:
    return [step for step, _ in run.metrics[key]]


def test_the_quickstart_of_pytorch(tracker, run):
    """A function that validates, prints, and returns nothing."""
    run(
        """
def train(dataloader, model, loss_fn, optimizer):
    model.train()
    for batch, (X, y) in enumerate(dataloader):
        pred = model(X)
        loss = loss_fn(pred, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if batch % 2 == 0:
            loss, current = loss.item(), (batch + 1) * len(X)
seen = []
def test(dataloader, model, loss_fn):
    size = len(dataloader.dataset)
    num_batches = len(dataloader)
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for X, y in dataloader:
            pred = model(X)
            test_loss += loss_fn(pred, y).item()
            correct += (pred.argmax(1) == y).type(torch.float).sum().item()
    test_loss /= num_batches
    correct /= size
    seen.append((correct, test_loss))
for t in range(3):
    train(loader, model, criterion, opt)
    test(loader, model, criterion)
"""
    )
    (tracked,) = tracker.runs
    correct, test_loss = zip(*run.space["seen"], strict=True)
    assert curves(tracked) == {
        "correct": list(enumerate(correct)),
        "test_loss": list(enumerate(test_loss)),
    }
    assert tracked.inputs == [("loader", "train", "TensorDataset")]
    assert tracked.params["loss_function"] == "CrossEntropyLoss"


def test_a_history_of_quotients(tracker, run):
    """What is appended is a result, what it is made of is not; early stopping ends the loop."""
    run(
        """
def fit(n):
    history = {"train_loss": [], "val_loss": [], "val_acc": []}
    for epoch in range(n):
        losses, running = [], 0.0
        for xb, yb in loader:
            opt.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            opt.step()
            losses.append(loss.item())
        vl, correct, count = 0.0, 0, 0
        with torch.no_grad():
            for xb, yb in loader:
                out = model(xb)
                vl += criterion(out, yb).item() * len(xb)
                correct += (out.argmax(1) == yb).sum().item()
                count += len(xb)
        va = correct / count
        history["train_loss"].append(sum(losses) / len(losses))
        history["val_loss"].append(vl / count)
        history["val_acc"].append(va)
        if epoch == 3:
            break
    return history
history = fit(20)
"""
    )
    (tracked,) = tracker.runs
    history = run.space["history"]
    assert len(history["val_acc"]) == 4
    assert curves(tracked) == {key: list(enumerate(values)) for key, values in history.items()}
    assert tracked.tags["nbtrack.best_by"] == "val_loss"


def test_sums_that_begin_anew(tracker, run):
    """They are set back before the first batch, where an epoch is seen to be over."""
    run(
        "seen = []\nfor epoch in range(3):\n    train_loss = 0.0\n"
        + EPOCH.rstrip()
        + """
        train_loss += loss.item()
    train_loss /= len(loader)
    with torch.no_grad():
        val_loss = criterion(model(X), y)
    seen.append(train_loss + 0)
"""
    )
    (tracked,) = tracker.runs
    assert tracked.metrics["train_loss"] == list(enumerate(run.space["seen"]))
    assert steps(tracked, "val_loss") == [0, 1, 2]


def test_a_variable_that_has_the_last_batch_of_a_validation(tracker, run):
    """The mean is logged, under its name."""
    run(
        """
means = []
for epoch in range(20):
"""
        + EPOCH
        + """
    total = 0
    with torch.no_grad():
        for xb, yb in loader:
            val_loss = criterion(model(xb), yb)
            total += float(val_loss) * len(xb)
    means.append((epoch, total / len(X)))
    del total
"""
    )
    (tracked,) = tracker.runs
    found = run.space["means"]
    assert steps(tracked, "val_loss") == list(range(20))
    for (_, expected), (_, value) in zip(found, tracked.metrics["val_loss"], strict=True):
        assert value == pytest.approx(expected, rel=1e-5)


def test_tensors_of_each_epoch_are_all_there(tracker, run):
    """A new tensor may lie where the last one lay."""
    run(
        """
for epoch in range(40):
"""
        + EPOCH
        + """
    val_acc = (model(X).argmax(1) == y).float().mean()
    steady = torch.tensor(0.5)
"""
    )
    (tracked,) = tracker.runs
    assert steps(tracked, "val_acc") == list(range(40))
    assert steps(tracked, "steady") == list(range(40))


def test_what_comes_before_the_step_is_of_its_round(tracker, run):
    run(
        """
rewards = []
for episode in range(4):
    reward = sum(float(v) for v in X[episode])
    rewards.append(reward)
    policy_loss = criterion(model(X), y) * reward
    opt.zero_grad()
    policy_loss.backward()
    opt.step()
    after = reward * 2
"""
    )
    (tracked,) = tracker.runs
    rewards = run.space["rewards"]
    assert tracked.metrics["reward"] == list(enumerate(rewards))
    assert tracked.metrics["after"] == [(i, 2 * value) for i, value in enumerate(rewards)]


def test_estimates_every_few_steps(tracker, run):
    """Of both sets, before the step of their round; the very first one is before the run."""
    run(
        """
@torch.no_grad()
def estimate():
    return {split: criterion(model(X), y).item() for split in ("train", "val")}
kept = {}
for step in range(10):
    if step % 4 == 0 or step == 9:
        losses = estimate()
        kept[step] = losses["val"]
    loss = criterion(model(X), y)
    loss.backward()
    opt.step(); opt.zero_grad()
"""
    )
    (tracked,) = tracker.runs
    kept = [(step, value) for step, value in run.space["kept"].items() if step]
    assert curves(tracked) == {"train_losses": kept, "val_losses": kept}
    assert steps(tracked, "steps_per_s") == [9]


def test_dicts_of_results(tracker, run):
    run(
        f"""
log = []
for epoch in range(3):
    {EPOCH}
    metrics = {{"val_acc": epoch / 4, "n": 3, "note": "x"}}
    val = dict(f1=torch.tensor(epoch / 8))
    best = {{name: value.clone() for name, value in model.state_dict().items()}}
    log.append({{"epoch": epoch, "train": loss.item() * 2, **metrics}})
"""
    )
    (tracked,) = tracker.runs
    assert curves(tracked).keys() == {"val_acc", "val_f1", "train"}
    assert steps(tracked, "train") == steps(tracked, "val_f1") == [0, 1, 2]


def test_tensors_of_results(tracker, run):
    run(
        f"""
accs = []
for epoch in range(3):
    {EPOCH}
    acc = (model(X).argmax(1) == y).float().mean()
    accs.append(acc)
"""
    )
    (tracked,) = tracker.runs
    assert curves(tracked) == {"acc": [(i, float(v)) for i, v in enumerate(run.space["accs"])]}


def test_epochs_counted_by_an_expression(tracker, run):
    run(
        f"""
from types import SimpleNamespace
args = SimpleNamespace(epochs=2)
def fit(start=1):
    for epoch in range(start, start + args.epochs):
        {EPOCH.replace(chr(10) + "    ", chr(10) + "        ")}
        test_acc = epoch / 4
fit()
"""
    )
    (tracked,) = tracker.runs
    assert tracked.metrics["test_acc"] == [(1, 0.25), (2, 0.5)]


@pytest.mark.parametrize("divide", ["loss = loss / accumulate", "loss /= accumulate"])
def test_a_loss_that_is_divided_for_accumulation(divide, tracker, run):
    run(
        f"""
accumulate, whole = 2, []
for epoch in range(2):
    for i, (xb, yb) in enumerate(DataLoader(TensorDataset(X, y), batch_size=10)):
        loss = criterion(model(xb), yb)
        whole.append(loss.item())
        {divide}
        loss.backward()
        if (i + 1) % accumulate == 0:
            opt.step()
            opt.zero_grad()
"""
    )
    (tracked,) = tracker.runs
    whole = run.space["whole"]
    means = [(one + other) / 2 for one, other in zip(whole[::2], whole[1::2], strict=True)]
    assert [value for _, value in tracked.metrics["loss"]] == pytest.approx(means)


def test_a_validation_that_is_broken_off(tracker, run):
    run(
        f"""
for epoch in range(3):
    {EPOCH}
    with torch.no_grad():
        for i, (xb, yb) in enumerate(loader):
            criterion(model(xb), yb)
            if epoch == 1 and i == 1: raise KeyboardInterrupt
"""
    )
    (tracked,) = tracker.runs
    assert tracked.status == "KILLED"
    assert steps(tracked, "val_loss") == [0]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("StepLR(opt, 2)", {"": "StepLR", "step_size": "2", "gamma": "0.1"}),
        (
            "ReduceLROnPlateau(opt, patience=3)",
            {"": "ReduceLROnPlateau", "patience": "3", "mode": "min"},
        ),
        (
            "SequentialLR(opt, [ConstantLR(opt), ExponentialLR(opt, 0.9)], [2])",
            {"": "SequentialLR", "schedulers": "ConstantLR, ExponentialLR", "milestones": "2"},
        ),
        ("MultiStepLR(opt, [2, 4])", {"": "MultiStepLR", "milestones": "2, 4", "gamma": "0.1"}),
        ("OneCycleLR(opt, 0.5, total_steps=20)", {"": "OneCycleLR", "total_steps": "20"}),
        ("LambdaLR(opt, lambda step: 0.5)", {"": "LambdaLR"}),
        ("CosineAnnealingWarmRestarts(opt, 3)", {"": "CosineAnnealingWarmRestarts", "T_0": "3"}),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_schedulers(made, expected, tracker, run):
    run(f"from torch.optim.lr_scheduler import *\nscheduler = {made}")
    lr = run.space["opt"].param_groups[0].get("initial_lr", 0.1)
    step = "scheduler.step(loss)" if "Plateau" in made else "scheduler.step()"
    run(f"for epoch in range(3):\n{EPOCH}\n    {step}")
    (tracked,) = tracker.runs
    found = {k.partition(".")[2]: v for k, v in tracked.params.items() if k.startswith("scheduler")}
    assert expected.items() <= found.items()
    assert not {"best", "num_bad_epochs", "T_cur", "last_epoch", "mode_worse"} & set(found)
    assert tracked.params["lr"] == str(lr)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("criterion(model(xb), yb)", "CrossEntropyLoss"),
        ("F.cross_entropy(model(xb), yb) + 0.1 * F.mse_loss(xb, xb)", "cross_entropy, mse_loss"),
        ("nn.CrossEntropyLoss(label_smoothing=0.1)(model(xb), yb)", "CrossEntropyLoss"),
        ("focal_loss(model(xb), yb)", "focal_loss"),
        ("model(xb).pow(2).mean()", "CrossEntropyLoss"),  # the only one that is there
        ("smooth(model(xb), yb)", "CrossEntropyLoss(label_smoothing=0.2, weight)"),
    ],
)
def test_loss_functions(loss, expected, tracker, run):
    run(
        """
def focal_loss(logits, labels):
    return F.cross_entropy(logits, labels)
"""
    )
    if "smooth(" in loss:
        run("smooth = nn.CrossEntropyLoss(torch.ones(2), label_smoothing=0.2)")
    run(f"for epoch in range(2):\n{EPOCH.replace('criterion(model(xb), yb)', loss)}")
    (tracked,) = tracker.runs
    assert tracked.params["loss_function"] == expected
    assert all(math.isfinite(value) for _, value in tracked.metrics["loss"])
