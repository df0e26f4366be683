"""Which choice counts: the library's, the one for all, the defaults; and the settings over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nbtrack.autologging import options as module
from nbtrack.autologging import tally
from nbtrack.autologging.options import Options, choose, options
from nbtrack.errors import InvalidParameterError
from nbtrack.settings import settings


@pytest.fixture(autouse=True)
def _defaults(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(settings, "values", {})
    module.forget()
    yield
    module.forget()


def test_the_library_goes_before_all() -> None:
    assert options("sklearn") == Options()
    choose(Options(max_tuning_runs=1), "sklearn")
    choose(Options(max_tuning_runs=2))
    assert options("sklearn").max_tuning_runs == 1
    assert options("torch").max_tuning_runs == 2
    module.forget()
    assert options("sklearn").max_tuning_runs == 5


def test_settings_have_the_last_word() -> None:
    choose(Options(log_models=True, log_datasets=False), "sklearn")
    settings.log_models = False
    assert options("sklearn") == Options(log_models=False, log_datasets=False)
    settings.log_models = True
    assert options("sklearn").log_models


@pytest.mark.parametrize(
    "wrong",
    [
        {"log_models": "no"},
        {"silent": 1},
        {"log_every_n_steps": 0},
        {"log_every_n_steps": True},
        {"log_every_n_steps": 1.5},
        {"max_tuning_runs": -1},
        {"registered_model_name": "a/b"},
        {"registered_model_name": ""},
        {"extra_tags": ["a"]},
        {"registered_model_name": 3},
    ],
)
def test_what_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        Options(**wrong)


def test_counts() -> None:
    tally.clear()
    tally.logged("a", "runs")
    tally.skipped("a", "inner fit")
    tally.skipped("a", "inner fit")
    tally.skipped("b", "off")
    assert tally.counts("a") == ({"runs": 1}, {"inner fit": 2})
    tally.clear()
    assert tally.counts("a") == ({}, {})
