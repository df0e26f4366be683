"""What users log, as it is stored."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np
import pytest

from nbtrack.errors import InvalidParameterError
from nbtrack.tracking.values import to_float, to_int, to_key, to_text, to_texts


class Tensor:
    """A scalar of a library such as torch."""

    shape = ()

    def __init__(self, value: float) -> None:
        self.value = value

    def item(self) -> float:
        return self.value

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        return f"tensor({self.value})"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (None, "None"),
        (0.1, "0.1"),
        (np.float64(0.1), "0.1"),
        (np.float32(0.1), "0.1"),
        (np.int64(3), "3"),
        (np.bool_(True), "True"),
        (np.array(2.5), "2.5"),
        (np.datetime64("2024-05-01T00:00:00.000000001"), "2024-05-01T00:00:00.000000001"),
        ([np.float64(0.1), np.int8(2)], "[0.1, 2]"),
        ((np.float32(0.5), "a"), "(0.5, 'a')"),
        ({"a": np.float64(1.5), "b": [np.int64(1)]}, "{'a': 1.5, 'b': [1]}"),
        (Tensor(0.5), "0.5"),
        ([Tensor(0.5)], "[0.5]"),
        (date(2024, 5, 1), "2024-05-01"),
        (np.array([1, 2]), "[1 2]"),
    ],
)
def test_texts(value: Any, text: str) -> None:
    assert to_text(value) == text


def test_a_list_that_contains_itself() -> None:
    endless: list[Any] = [1]
    endless.append(endless)
    assert "..." in to_text(endless)


@pytest.mark.parametrize(
    "value", [Tensor(0.5), np.array([0.5]), np.array([[0.5]]), np.float16(0.5)]
)
def test_numbers(value: Any) -> None:
    assert to_float("m", value) == 0.5


def test_torch_and_polars_if_they_are_there() -> None:
    torch = pytest.importorskip("torch")
    assert to_float("m", torch.tensor(0.5, requires_grad=True)) == 0.5
    assert to_float("m", torch.tensor([0.5])) == 0.5
    assert to_text(torch.tensor(0.5)) == "0.5"


@pytest.mark.parametrize("value", ["0.5", b"1", None, [1.0], np.zeros(2), 1j, {}])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(InvalidParameterError, match="cannot have the value"):
        to_float("m", value)


def test_messages_stay_short() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        to_float("m", "x" * 10_000)
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("key", ["", None])
def test_what_is_no_name(key: Any) -> None:
    with pytest.raises(InvalidParameterError, match="is no name for a param, metric or tag"):
        to_key(key)


def test_other_keys() -> None:
    assert to_key(5) == "5"
    assert to_key("a/b c") == "a/b c"


@pytest.mark.parametrize("value", [[], "ab", None, 3])
def test_what_is_no_mapping(value: Any) -> None:
    with pytest.raises(InvalidParameterError, match="use a dict"):
        to_texts(value)


@pytest.mark.parametrize("value", [math.nan, "a", 2**63, None])
def test_what_is_no_place(value: Any) -> None:
    with pytest.raises(InvalidParameterError, match="The step of a metric cannot be"):
        to_int("step", value)
