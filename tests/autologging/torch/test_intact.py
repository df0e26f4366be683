"""What torch and its users rely on is as it was, with the taps in place."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from typing import Any

import cloudpickle
import pytest

from nbtrack import autologging
from nbtrack.autologging.torch import _LOSSES
from nbtrack.autologging.torch.taps import Taps
from nbtrack.testing.fakes import FakeTracker

torch = pytest.importorskip("torch")
F = torch.nn.functional

TRAINING = """
import random
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(1); random.seed(1)
X = torch.randn(64, 4)
y = (X.sum(1) > 0).long()
loader = DataLoader(TensorDataset(X, y), batch_size=16, shuffle=True)
layers = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2)
model = nn.Sequential(*layers)
opt = torch.optim.Adam(model.parameters(), lr=0.01)
scheduler = torch.optim.lr_scheduler.OneCycleLR(opt, 0.1, total_steps=12)
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
best = 0.0
for epoch in range(3):
    model.train()
    for xb, yb in loader:
        opt.zero_grad()
        loss = criterion(model(xb), yb)
        (loss / 2).backward()
        opt.step()
        scheduler.step()
    model.eval()
    with torch.no_grad():
        val_loss = criterion(model(X), y)
        val_acc = (model(X).argmax(1) == y).float().mean().item()
"""


def owners() -> list[dict[str, Any]]:
    """Return what the taps and hooks could have touched."""
    return [
        dict(vars(owner))
        for owner in (
            torch.optim.Optimizer,
            torch.optim.SGD,
            torch.utils.data.DataLoader,
            torch.Tensor,
            torch.nn.Module,
            torch.nn.CrossEntropyLoss,
            F,
            torch.autograd,
            torch.autograd.backward.__dict__,
            sys.modules["torch.optim.optimizer"],
        )
        if not isinstance(owner, dict)
    ]


def codes() -> list[Any]:
    functions = [getattr(F, name) for name in _LOSSES]
    functions += [torch.autograd.backward, vars(torch.utils.data.DataLoader)["__iter__"]]
    return [(function, function.__code__, function.__defaults__) for function in functions]


def hooks() -> list[Any]:
    return list(sys.modules["torch.optim.optimizer"]._global_optimizer_post_hooks.values())


def enabled() -> FakeTracker:
    tracker = FakeTracker()
    autologging.enable(tracker, "torch")
    return tracker


@pytest.fixture(autouse=True)
def _off():
    yield
    autologging.disable()


def test_unloading_restores_everything():
    before = owners(), codes(), hooks()
    for _ in range(2):
        enabled()
        assert codes() != before[1]
        assert len(hooks()) == len(before[2]) + 1
        autologging.disable()
        now = owners(), codes(), hooks()
        assert now[1:] == before[1:]
        for here, there in zip(now[0], before[0], strict=True):
            assert here.keys() == there.keys()
            assert all(here[name] is there[name] for name in here)


def test_a_failing_installation_leaves_nothing(monkeypatch):
    before = codes(), hooks(), sorted(vars(F))
    with monkeypatch.context() as patch:
        patch.delattr(sys.modules["torch.optim.optimizer"], "register_optimizer_step_post_hook")
        tracker = enabled()
        assert "AttributeError" in autologging.status()["torch"].reason
        assert len(tracker.warnings) >= 1
    assert (codes(), hooks(), sorted(vars(F))) == before


def trained() -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(TRAINING, "<training>", "exec"), space)
    return space


def test_results_are_the_same_to_the_bit():
    off = trained()
    tracker = enabled()
    on = trained()
    autologging.disable()
    assert len(tracker.runs) == 1
    for name, value in off["model"].state_dict().items():
        assert torch.equal(value, on["model"].state_dict()[name])
    one, other = (space["opt"].state_dict() for space in (off, on))
    assert pickle.dumps(one["param_groups"]) == pickle.dumps(other["param_groups"])
    for key, state in one["state"].items():
        assert all(torch.equal(value, other["state"][key][name]) for name, value in state.items())
    assert vars(off["opt"]).keys() == vars(on["opt"]).keys()
    assert vars(off["model"]).keys() == vars(on["model"]).keys()
    assert vars(off["loader"]).keys() == vars(on["loader"]).keys()
    assert off["val_acc"] == on["val_acc"]
    assert torch.equal(off["val_loss"], on["val_loss"])


def test_random_state_is_untouched():
    trained()
    after_off = torch.get_rng_state()
    enabled()
    trained()
    assert torch.equal(torch.get_rng_state(), after_off)


def test_functions_stay_themselves():
    before = {name: getattr(F, name) for name in _LOSSES}
    pickled = pickle.dumps(before["cross_entropy"])

    def look() -> list[Any]:
        return [
            (
                name,
                inspect.signature(function),
                inspect.getdoc(function),
                inspect.getsource(function),
                function.__code__.co_filename,
                function.__code__.co_firstlineno,
                function.__name__,
                function.__qualname__,
            )
            for name, function in before.items()
        ]

    off = look()
    enabled()
    assert look() == off
    assert all(getattr(F, name) is function for name, function in before.items())
    assert pickle.dumps(F.cross_entropy) == pickled
    assert pickle.loads(pickled) is before["cross_entropy"]
    assert cloudpickle.loads(cloudpickle.dumps(F.cross_entropy)) is before["cross_entropy"]
    assert copy.deepcopy(F.cross_entropy) is F.cross_entropy


def test_errors_are_the_users():
    tracker = enabled()
    with pytest.raises((ValueError, RuntimeError)) as caught:
        F.cross_entropy(torch.ones(2, 3), torch.ones(5).long())
    assert not any("nbtrack" in str(entry.path) for entry in caught.traceback)
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar"):
        (torch.ones(3, requires_grad=True) * 2).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.ones(1).backward()
    with pytest.raises(TypeError):
        F.mse_loss()
    assert tracker.warnings == []


def test_script_and_fx_and_subclasses():
    tracker = enabled()

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(x, y)

    class Loud(torch.Tensor):
        seen: list[Any] = []  # noqa: RUF012

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            cls.seen.append(func)
            return super().__torch_function__(func, types, args, kwargs or {})

    x, y = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    expected = loss(x, y)
    traced = torch.fx.symbolic_trace(torch.nn.CrossEntropyLoss())
    assert torch.equal(traced(x, y), expected)
    assert torch.equal(loss(x.as_subclass(Loud), y), expected)
    assert F.cross_entropy in Loud.seen
    assert tracker.warnings == []


@pytest.mark.filterwarnings("ignore")
def test_script():
    enabled()
    scripted = torch.jit.script(_loss)
    x, y = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    assert torch.equal(scripted(x, y), F.cross_entropy(x, y))
    module = torch.jit.script(torch.nn.CrossEntropyLoss())
    assert torch.equal(module(x, y), F.cross_entropy(x, y))


def _loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(x, y)


def test_functional_transforms():
    tracker = enabled()
    w = torch.randn(3)
    x = torch.randn(5, 3)
    gradient = torch.func.grad(lambda w: F.mse_loss(x @ w, torch.zeros(5)))(w)
    with torch.no_grad():
        each = torch.func.vmap(lambda row: F.mse_loss(row, torch.zeros(3)))(x)
    assert gradient.shape == (3,)
    assert each.shape == (5,)
    assert tracker.runs == []
    assert tracker.warnings == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("whole", [False, True])
def test_compiled(whole):
    import torch._dynamo.testing

    torch._dynamo.reset()
    tracker = enabled()
    torch.manual_seed(0)
    net = torch.nn.Linear(4, 2)
    X, y = torch.randn(20, 4), torch.zeros(20).long()
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    counter = torch._dynamo.testing.CompileCounter()
    model = torch.compile(net, backend=counter, fullgraph=True)
    evaluate = torch.compile(lambda: F.cross_entropy(net(X), y), backend="eager", fullgraph=True)

    def step():
        loss = F.cross_entropy(model(X), y)
        loss.backward()
        opt.step()
        opt.zero_grad()

    if whole:
        step = torch.compile(step, backend="eager")
    for _ in range(3):
        step()
        with torch.no_grad():
            evaluate()
    autologging.disable()
    assert tracker.warnings == []
    if not whole:
        assert counter.frame_count == 1
        (run,) = tracker.runs
        assert len(run.metrics["loss"]) == 3
        assert run.params["model"] == "Linear"
        assert set(run.states["model"].files) == {"model.safetensors"}


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_step_of_an_optimizer():
    import torch._dynamo

    torch._dynamo.reset()
    tracker = enabled()
    w = torch.ones(3, requires_grad=True)
    opt = torch.optim.SGD([w], lr=0.1)
    step = torch.compile(lambda: opt.step(), backend="eager")  # noqa: PLW0108
    w.sum().backward()
    step()
    assert w.tolist() == pytest.approx([0.9] * 3)
    assert tracker.warnings == []


def test_whole_models_with_functions_are_pickled():
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.criterion = F.cross_entropy

    before = Net()
    enabled()
    assert cloudpickle.loads(cloudpickle.dumps(before)).criterion is F.cross_entropy
    inside = Net()
    autologging.disable()
    assert cloudpickle.loads(cloudpickle.dumps(inside)).criterion is F.cross_entropy


def test_taps_are_set_once_and_spare_what_they_do_not_know():
    heard: list[Any] = []

    def any_arguments(*args: Any) -> Any:
        return args

    taps = Taps()
    taps.before(len, heard.append)
    taps.before((lambda x: lambda: x)(1), heard.append)
    with pytest.raises(TypeError):
        taps.before(any_arguments, heard.append)

    def twice(x: int, *, times: int = 2) -> int:
        return x * times

    code = twice.__code__
    taps.before(twice, heard.append)
    ours = twice.__code__
    taps.before(twice, heard.append)
    assert twice.__code__ is ours
    assert twice(4, times=3) == 12
    assert heard == [4]
    taps.restore()
    assert twice.__code__ is code
    taps.restore()
