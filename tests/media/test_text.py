"""Texts and dicts as files: whatever stands in a dict, the file can be read again."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.errors import InvalidParameterError
from nbtrack.media import encode_dict, encode_text
from nbtrack.media.plain import plain


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Config:
    lr: float
    data: Path


DAY = datetime.datetime(2024, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array(["2024-01-02"], "M8[ns]"), ["2024-01-02T00:00:00.000000000"]),
        (np.datetime64("2024-01-02"), "2024-01-02"),
        (pd.Series([1.5, 2.0]), [1.5, 2.0]),
        (pd.Index(["a"]), ["a"]),
        (pd.DataFrame({"x": [1], "y": ["a"]}), {"x": [1], "y": ["a"]}),
        (pd.Timestamp(DAY), "2024-01-02T03:04:05"),
        (pd.NaT, None),
        (pd.NA, None),
        (DAY, "2024-01-02T03:04:05"),
        (datetime.time(3, 4), "03:04:00"),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({2, 10, 1}), [1, 2, 10]),
        ((1, (2,)), [1, [2]]),
        (range(3), [0, 1, 2]),
        ({"b": 1, "a": 2}.keys(), ["a", "b"]),
        (b"ab", "b'ab'"),
        (pd.Timedelta(1, "s"), "P0DT0H0M1S"),
        (Path("a/b"), "a/b"),
        (Color.RED, "red"),
        (Config(0.1, Path("d")), {"lr": 0.1, "data": "d"}),
        (decimal.Decimal("1.10"), "1.10"),
        (1j, "1j"),
        ({np.int64(1): 2, (1, 2): 3, DAY: 4}, {1: 2, "[1, 2]": 3, "2024-01-02T03:04:05": 4}),
    ],
)
def test_a_value_has_a_plain_form(value: Any, wanted: Any) -> None:
    found = plain(value)
    assert found == wanted
    assert type(found) is type(wanted)
    json.dumps(found)


def test_tensors_and_polars_have_a_plain_form() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"x": [1, 2], "d": [datetime.date(2024, 1, 2)] * 2})
    assert plain(frame) == {"x": [1, 2], "d": ["2024-01-02"] * 2}
    assert plain(frame["x"]) == [1, 2]


def test_dates_stay_dates_in_yaml() -> None:
    found = yaml.safe_load(encode_dict({"d": DAY, "n": np.arange(2), "t": (1,)}, "a.yml"))
    assert found == {"d": DAY, "n": [0, 1], "t": [1]}


def test_yaml_writes_a_shared_list_twice() -> None:
    shared = [1]
    assert b"&" not in encode_dict({"a": shared, "b": shared}, "a.yaml")


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def endless() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["again"] = value
    return value


@pytest.mark.parametrize("path", ["a.json", "a.yaml"])
@pytest.mark.parametrize("value", [nested(100_000), endless()], ids=["deep", "endless"])
def test_what_has_no_end_is_told(value: Any, path: str) -> None:
    with pytest.raises(InvalidParameterError, match="contains itself, or is nested too deeply"):
        encode_dict(value, path)


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
keys = st.text() | st.integers() | st.none() | st.tuples(st.integers())


@given(
    value=st.recursive(
        leaves,
        lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.sets(st.integers()),
    )
)
def test_every_value_can_be_read_again(value: Any) -> None:
    json.loads(encode_dict(value, "a.json"))
    yaml.safe_load(encode_dict({"v": value}, "a.yaml"))


def test_text_is_utf8() -> None:
    assert encode_text("ä\r\n", "a.txt") == "ä\r\n".encode()


@pytest.mark.parametrize(
    ("text", "says"), [(b"a", "A bytes was given"), ("a\ud83d", "surrogate pair at character 1")]
)
def test_what_is_no_text_is_told(text: Any, says: str) -> None:
    with pytest.raises(InvalidParameterError, match=says):
        encode_text(text, "a.txt")
