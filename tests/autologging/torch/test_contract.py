"""Plain PyTorch loops keep the contract of integrations."""

from __future__ import annotations

import sys

import pytest

from nbtrack.autologging.torch import registry
from nbtrack.testing.integration_contract import IntegrationContract

pytest.importorskip("torch")


@pytest.mark.filterwarnings("ignore")  # looking at all of torch finds what is deprecated
class TestTorch(IntegrationContract):
    """The smallest loops. The end of a loop is that of its cell, or of the script."""

    library = "torch"
    setup = """
        import torch
        from torch import nn

        generator = torch.Generator().manual_seed(0)
        features = torch.randn(60, 4, generator=generator)
        labels = (features.sum(1) > 0).long()
        data = features.numpy(), labels.numpy()  # a tensor's own pickle is another each time

        def train(epochs=3, module=None):
            model = nn.Linear(4, 2) if module is None else module
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for epoch in range(epochs):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(features), labels)
                loss.backward()
                optimizer.step()
            return model, optimizer
    """
    fit = """
        model, optimizer = train()
        result = model(features).detach().numpy()
    """
    failing = """
        model, optimizer = train()
        model(torch.ones(2, 9))
    """
    interrupted = """
        model, optimizer = train()
        raise KeyboardInterrupt
    """
    counting = """
        calls = 0

        class Counting(nn.Linear):
            def forward(self, features):
                global calls
                calls += 1
                return super().forward(features)

        model, optimizer = train(1, Counting(4, 2))
    """
    nested = """
        first, second = nn.Linear(4, 4), nn.Linear(4, 2)
        optimizers = [torch.optim.Adam(module.parameters()) for module in (first, second)]
        for _ in range(3):
            second(first(features)).mean().backward()
            for optimizer in optimizers:
                optimizer.step()
    """
    curves = """
        model, optimizer = train(5)
    """
    steps = {"loss": [0, 1, 2, 3, 4]}  # noqa: RUF012
    methods = ("forward", "parameters", "train", "state_dict")
    missing = {"parallel": "joblib's workers take no part in a loop"}  # noqa: RUF012

    @pytest.mark.skip("torch itself hangs in the child of a process that has trained")
    def test_a_forked_child_logs_nothing(self) -> None:
        """See the test of workers and forks in test_life."""

    def finish(self) -> None:
        registry.end(sys.exc_info()[1])

    def _done(self) -> str:
        return "from nbtrack.autologging.torch import registry\nregistry.end()\n"
