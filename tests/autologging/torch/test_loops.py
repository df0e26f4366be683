"""What a training loop leaves behind, in all the ways that people write one."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import pytest

pytest.importorskip("torch")

FLAT = """
for epoch in range(3):
    for xb, yb in loader:
        opt.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        opt.step()
    with torch.no_grad():
        val_loss = criterion(model(X), y).item()
        val_acc = (model(X).argmax(1) == y).float().mean().item()
"""


def steps(run: Any, key: str) -> list[int]:
    return [step for step, _ in run.metrics[key]]


def values(run: Any, key: str) -> list[float]:
    return [value for _, value in run.metrics[key]]


def test_a_flat_loop(tracker, run):
    run(
        "seen = []\n"
        + FLAT.replace("        opt.step()", "        opt.step(); seen.append(loss.item())")
    )
    (tracked,) = tracker.runs
    assert tracked.status == "FINISHED"
    assert tracked.name == "Sequential"
    assert tracked.metrics["loss"] == list(enumerate(run.space["seen"]))
    assert tracked.metrics["lr"] == [(0, 0.1)]
    assert steps(tracked, "val_acc") == steps(tracked, "val_loss") == [0, 1, 2]
    assert values(tracked, "val_acc")[-1] == run.space["val_acc"]
    assert values(tracked, "val_loss")[-1] == run.space["val_loss"]
    assert tracked.metrics["epoch"] == [(2, 0.0), (5, 1.0), (8, 2.0)]
    assert steps(tracked, "steps_per_s") == [0, 1, 2]
    assert set(tracked.metrics) == {
        "loss", "lr", "val_acc", "val_loss", "epoch", "steps_per_s", "samples_per_s",
    }  # fmt: skip
    expected = {"model": "Sequential", "n_params": "58", "n_trainable_params": "58"}
    expected |= {"optimizer_name": "SGD", "lr": "0.1", "momentum": "0", "batch_size": "20"}
    assert expected.items() <= tracked.params.items()
    assert "lr" in tracked.highlights
    assert "momentum" not in tracked.highlights
    table = tracked.plots["model structure"]
    assert table["columns"]["class"] == ["Linear", "ReLU", "Linear"]
    assert table["columns"]["parameters"] == [40, 0, 18]
    assert tracked.inputs == [("loader", "train", "TensorDataset")]


def test_a_loop_in_functions(tracker, run):
    run(
        """
def train_epoch(net, loader, optimizer):
    total = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        batch_loss = F.cross_entropy(net(xb), yb)
        batch_loss.backward()
        optimizer.step()
        total += batch_loss.item()
    return total / len(loader)

@torch.no_grad()
def evaluate(net):
    return F.cross_entropy(net(X), y).item()

def fit(net, optimizer, epochs):
    history = {"val": []}
    for epoch in range(epochs):
        train_loss = train_epoch(net, loader, optimizer)
        validation_loss = evaluate(net)
        history["val"].append(validation_loss)
    return history

history = fit(model, opt, 3)
"""
    )
    (tracked,) = tracker.runs
    assert steps(tracked, "batch_loss") == list(range(9))
    assert steps(tracked, "train_loss") == [0, 1, 2]
    assert values(tracked, "validation_loss") == run.space["history"]["val"]
    assert "val_loss" not in tracked.metrics  # which is the same
    assert steps(tracked, "epoch") == [2, 5, 8]
    assert tracked.params["model"] == "Sequential"


def test_a_loop_in_a_class(tracker, run):
    run(
        """
class Trainer:
    def __init__(self, seed):
        torch.manual_seed(seed)
        self.net = make()
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.01, betas=(0.8, 0.9))
    def fit(self, n):
        for epoch in range(n):
            for xb, yb in loader:
                self.step(xb, yb)
            with torch.no_grad():
                self.val_acc = (self.net(X).argmax(1) == y).float().mean().item()
    def step(self, xb, yb):
        self.optimizer.zero_grad()
        self.loss = F.cross_entropy(self.net(xb), yb)
        self.loss.backward()
        self.optimizer.step()
for seed in range(2):
    trainer = Trainer(seed)
    trainer.fit(4)
"""
    )
    assert len(tracker.runs) == 2
    for tracked in tracker.runs:
        assert steps(tracked, "loss") == list(range(12))
        assert steps(tracked, "val_acc") == [0, 1, 2, 3]
        assert tracked.params["betas"] == "(0.8, 0.9)"
        assert tracked.params["model"] == "Sequential"
        assert tracked.states.keys() >= {"model"}


def test_a_sweep_in_one_cell(tracker, run):
    body = textwrap.indent(FLAT, "    ")
    run(
        "for lr in (0.1, 0.01, 0.001):\n    model = make()\n"
        f"    opt = torch.optim.SGD(model.parameters(), lr=lr)\n{body}"
    )
    assert [r.params["lr"] for r in tracker.runs] == ["0.1", "0.01", "0.001"]
    for tracked in tracker.runs:
        assert tracked.status == "FINISHED"
        assert steps(tracked, "loss") == list(range(9))
        assert "model" in tracked.states
        assert steps(tracked, "val_acc") == [0, 1, 2]


def test_gan(tracker, run):
    run(
        """
G, D = nn.Linear(2, 4), nn.Linear(4, 1)
opt_g = torch.optim.Adam(G.parameters(), lr=1e-3)
opt_d = torch.optim.Adam(D.parameters(), lr=2e-3)
for epoch in range(2):
    for (real,) in DataLoader(TensorDataset(X), batch_size=20):
        for _ in range(2):
            opt_d.zero_grad()
            loss = D(G(torch.randn(20, 2)).detach()).mean() - D(real).mean()
            loss.backward()
            opt_d.step()
        opt_g.zero_grad()
        loss = -D(G(torch.randn(20, 2))).mean()
        loss.backward()
        opt_g.step()
"""
    )
    (tracked,) = tracker.runs
    assert steps(tracked, "loss") == list(range(12))
    assert steps(tracked, "loss_opt_g") == list(range(6))
    assert tracked.metrics["lr_opt_g"] == [(0, 1e-3)]
    assert tracked.params["lr"] == "0.002"
    assert tracked.params["opt_g.lr"] == "0.001"
    assert tracked.states.keys() == {"model", "model_G"}


def test_gan_in_functions(tracker, run):
    run(
        """
G, D = nn.Linear(2, 4), nn.Linear(4, 1)
opt_g, opt_d = (torch.optim.Adam(m.parameters()) for m in (G, D))
def step(optimizer, make_loss):
    optimizer.zero_grad()
    loss = make_loss()
    loss.backward()
    optimizer.step()
for _ in range(5):
    step(opt_d, lambda: D(G(torch.randn(20, 2)).detach()).mean() - D(X).mean())
    step(opt_g, lambda: -D(G(torch.randn(20, 2))).mean())
"""
    )
    (tracked,) = tracker.runs
    assert steps(tracked, "loss") == steps(tracked, "loss_optimizer") == list(range(5)) or (
        steps(tracked, "loss_opt_g") == list(range(5))
    )


def test_two_optimizers_of_one_loss(tracker, run):
    run(
        """
opts = [torch.optim.SGD(model[0].parameters(), 0.1), torch.optim.Adam(model[2].parameters(), 0.01)]
for epoch in range(4):
    loss = criterion(model(X), y)
    loss.backward()
    for o in opts:
        o.step()
        o.zero_grad()
"""
    )
    (tracked,) = tracker.runs
    assert steps(tracked, "loss") == [0, 1, 2, 3]


def test_an_ensemble_at_one_call(tracker, run):
    run(
        """
models = [make(), make()]
opts = [torch.optim.SGD(m.parameters(), 0.1) for m in models]
for epoch in range(4):
    for m, o in zip(models, opts):
        o.zero_grad()
        loss = criterion(m(X), y)
        loss.backward()
        o.step()
"""
    )
    assert [len(r.metrics["loss"]) for r in tracker.runs] == [4, 4]


def test_models_one_after_the_other(tracker, run):
    other = FLAT.replace("model", "other").replace("opt.", "opt2.")
    run(f"{FLAT}\nother = make()\nopt2 = torch.optim.SGD(other.parameters(), lr=0.5)\n{other}")
    assert [r.params["lr"] for r in tracker.runs] == ["0.1", "0.5"]
    assert [len(r.metrics["loss"]) for r in tracker.runs] == [9, 9]


def test_calls_of_one_function(tracker, run):
    run(
        """
def fit(net, o):
    for epoch in range(3):
        o.zero_grad()
        loss = criterion(net(X), y)
        loss.backward()
        o.step()
for fold in range(2):
    nets = make(), make()
    optimizers = [torch.optim.SGD(n.parameters(), 0.1) for n in nets]
    fit(nets[0], optimizers[0])
    fit(nets[1], optimizers[1])
"""
    )
    assert [len(r.metrics["loss"]) for r in tracker.runs] == [3, 3, 3, 3]


def test_accumulated_gradients(tracker, run):
    run(
        """
losses = []
for epoch in range(2):
    for i, (xb, yb) in enumerate(DataLoader(TensorDataset(X, y), batch_size=10)):
        loss = criterion(model(xb), yb)
        losses.append(loss.item())
        (loss / 3).backward()
        if (i + 1) % 3 == 0:
            opt.step()
            opt.zero_grad()
"""
    )
    (tracked,) = tracker.runs
    losses = run.space["losses"]
    assert steps(tracked, "loss") == [0, 1, 2, 3]
    assert values(tracked, "loss") == pytest.approx(
        [sum(losses[i : i + 3]) / 3 for i in range(0, 12, 3)]
    )


def test_grad_scaler(tracker, run):
    run(
        """
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
seen = []
for epoch in range(3):
    for xb, yb in loader:
        opt.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = criterion(model(xb), yb)
        scaler.scale(loss).backward()
        seen.append(loss.item())
        scaler.step(opt)
        scaler.update()
"""
    )
    (tracked,) = tracker.runs
    assert values(tracked, "loss") == run.space["seen"]
    assert steps(tracked, "epoch") == [2, 5, 8]


def test_lbfgs(tracker, run):
    run(
        """
opt = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)
firsts = []
for epoch in range(3):
    def closure():
        opt.zero_grad()
        loss = criterion(model(X), y)
        loss.backward()
        return loss
    firsts.append(opt.step(closure).item())
"""
    )
    (tracked,) = tracker.runs
    assert tracked.metrics["loss"] == list(enumerate(run.space["firsts"]))
    assert tracked.params["max_iter"] == "4"


def test_parts_of_a_loss(tracker, run):
    run(
        """
for epoch in range(2):
    recon = F.mse_loss(model(X), torch.zeros(60, 2))
    kl = model[0].weight.pow(2).sum()
    (recon + 0.1 * kl).backward()
    opt.step(); opt.zero_grad()
"""
    )
    (tracked,) = tracker.runs
    assert set(tracked.metrics) >= {"loss", "recon", "kl"}
    for total, recon, kl in zip(
        *(values(tracked, k) for k in ("loss", "recon", "kl")), strict=True
    ):
        assert total == pytest.approx(recon + 0.1 * kl, rel=1e-5)


def test_a_bare_tensor_and_while(tracker, run):
    run(
        """
w = torch.tensor([3.0], requires_grad=True)
o = torch.optim.SGD([w], lr=0.1)
while w.item() > 1:
    o.zero_grad()
    (w ** 2).backward()
    o.step()
"""
    )
    (tracked,) = tracker.runs
    assert tracked.name == "SGD"
    assert len(tracked.metrics["loss"]) > 2
    assert tracked.states == {}


def test_parameter_groups_and_schedulers(tracker, run):
    run(
        """
opt = torch.optim.SGD([{"params": model[0].parameters()},
                       {"params": model[2].parameters(), "lr": 0.01}], lr=0.1, momentum=0.9)
scheduler = torch.optim.lr_scheduler.StepLR(opt, step_size=1, gamma=0.5)
for epoch in range(3):
    loss = criterion(model(X), y)
    loss.backward()
    opt.step(); opt.zero_grad()
    scheduler.step()
"""
    )
    (tracked,) = tracker.runs
    assert tracked.metrics["lr"] == [(0, 0.1), (1, 0.05), (2, 0.025)]
    assert steps(tracked, "lr_group1") == [0, 1, 2]
    expected = {"scheduler": "StepLR", "scheduler.gamma": "0.5", "lr_group1": "0.01"}
    assert expected.items() <= tracked.params.items()


def test_a_loop_without_backward_is_no_training(tracker, run):
    run("opt.step()\nopt.step()")
    run("loss = criterion(model(X), y); loss.backward()")
    assert tracker.runs == []


def test_lists_are_curves(tracker, run):
    run(
        """
accs, losses = [], []
for epoch in range(3):
    for xb, yb in loader:
        loss = criterion(model(xb), yb)
        loss.backward()
        opt.step(); opt.zero_grad()
        losses.append(loss.item())
    accs.append((model(X).argmax(1) == y).float().mean().item())
"""
    )
    (tracked,) = tracker.runs
    assert tracked.metrics["accs"] == list(enumerate(run.space["accs"]))
    assert "losses" not in tracked.metrics


def test_clocks_and_stale_variables_are_no_results(tracker, run):
    run("test_f1 = 0.5\nother_acc = 0.25\nimport time")
    run(
        """
for epoch in range(3):
    start = time.perf_counter()
    loss = criterion(model(X), y)
    loss.backward()
    opt.step(); opt.zero_grad()
    if epoch == 1:
        test_f1 = epoch / 2
"""
    )
    (tracked,) = tracker.runs
    assert tracked.metrics["test_f1"] == [(1, 0.5)]
    assert not {"other_acc", "start"} & set(tracked.metrics)


def test_validation_is_averaged_over_samples(tracker, run):
    run(
        """
for epoch in range(2):
    for xb, yb in loader:
        opt.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        opt.step()
    with torch.inference_mode():
        for xb, yb in DataLoader(TensorDataset(X, y), batch_size=25):
            F.cross_entropy(model(xb), yb, reduction="sum").item()
        whole = F.cross_entropy(model(X), y, reduction="sum").item() / 120
"""
    )
    (tracked,) = tracker.runs
    assert steps(tracked, "val_loss") == [0, 1]
    assert values(tracked, "val_loss")[-1] == pytest.approx(run.space["whole"] * 2, rel=1e-5)


def test_nan_is_a_value(tracker, run):
    run(
        FLAT.replace(
            "loss = criterion(model(xb), yb)", "loss = criterion(model(xb), yb) * float('nan')"
        )
    )
    (tracked,) = tracker.runs
    assert all(map(math.isnan, values(tracked, "loss")))


def test_every_nth_step(tracker, run, monkeypatch):
    from nbtrack.autologging import options

    monkeypatch.setattr(options, "_chosen", {})
    options.choose(options.Options(log_every_n_steps=4), "torch")
    run(FLAT)
    (tracked,) = tracker.runs
    assert steps(tracked, "loss") == [0, 4, 8]


def test_gradient_norm_on_request(tracker, run, monkeypatch):
    from nbtrack.settings import settings

    monkeypatch.setattr(settings, "values", {"gradient_norm": True})
    run(FLAT)
    (tracked,) = tracker.runs
    assert steps(tracked, "grad_norm") == list(range(9))
    last = sum(float(p.grad.pow(2).sum()) for p in run.space["model"].parameters()) ** 0.5
    assert values(tracked, "grad_norm")[-1] == pytest.approx(last, rel=1e-5)


@pytest.mark.parametrize("rounds", ["range(n)", "range(0, n)", "bar(range(n), desc='')"])
def test_the_last_epoch_in_a_function(rounds, tracker, run):
    run(
        f"""
import sys
def bar(rounds, desc):
    yield from rounds
def fit(n):
    for epoch in {rounds}:
        for xb, yb in loader:
            loss = criterion(model(xb), yb)
            loss.backward()
            opt.step(); opt.zero_grad()
        test_acc = (epoch + 1) / 2
    left = sys.getprofile() is not None
    return left
left = fit(3)
after = sys.getprofile()
again = fit(1)
"""
    )
    (tracked,) = tracker.runs
    assert values(tracked, "test_acc")[:3] == [0.5, 1.0, 1.5]
    assert (run.space["left"], run.space["after"]) == (True, None)


def test_more_steps_than_before_in_the_last_epoch(tracker, run):
    run(
        """
import sys
def fit():
    profiled = 0
    for epoch in range(2):
        for _ in range(2 + 3 * epoch):
            profiled += sys.getprofile() is not None
            loss = criterion(model(X), y)
            loss.backward()
            opt.step(); opt.zero_grad()
        test_acc = epoch / 2
    return profiled
profiled = fit()
after = sys.getprofile()
"""
    )
    (tracked,) = tracker.runs
    assert run.space["profiled"] == 1
    assert run.space["after"] is None
    assert values(tracked, "test_acc")[0] == 0.0


def test_a_profiler_of_the_user_stays(tracker, run):
    run(
        """
import cProfile
profile = cProfile.Profile()
profile.enable()
def fit():
    for epoch in range(2):
        loss = criterion(model(X), y)
        loss.backward()
        opt.step(); opt.zero_grad()
fit()
profile.disable()
calls = len(profile.getstats())
"""
    )
    assert run.space["calls"] > 10


@pytest.mark.parametrize(
    ("lengths", "end"),
    [
        ([2, 2, 2, 2], "pass"),
        ([40, 40, 40], "pass"),
        ([1, 30, 30], "pass"),
        ([40, 3, 3, 50, 1, 1], "next(iter(loader))"),
    ],
)
def test_epochs_of_any_length_in_a_function(lengths, end, tracker, run):
    run.space["lengths"] = lengths
    run(
        f"""
def fit():
    for epoch in range(len(lengths)):
        for _ in range(lengths[epoch]):
            loss = criterion(model(X), y)
            loss.backward()
            opt.step(); opt.zero_grad()
        test_acc = epoch / 2
        {end}
fit()
"""
    )
    (tracked,) = tracker.runs
    assert tracked.metrics["test_acc"][: len(lengths) - 1] == [
        (epoch, epoch / 2) for epoch in range(len(lengths) - 1)
    ]
