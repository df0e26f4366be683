"""What is known of data: the same data, the same fingerprint; another value, another one."""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.provenance import data as module
from nbtrack.provenance.data import describe, fingerprint

MB = 2**20
Make = Callable[[], Any]


def matrix() -> np.ndarray[Any, Any]:
    return np.arange(24.0).reshape(6, 4)


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "a": [1.5, 2.5, np.nan],
            "b": [1, 2, 3],
            "text": ["x", "y", None],
            "cat": pd.Categorical(["u", "v", "u"]),
            "when": pd.to_datetime(["2024-01-01", "2024-01-02", None]),
            "zone": pd.to_datetime(["2024-01-01", "2024-01-02", None]).tz_localize("UTC"),
            "int": pd.array([1, None, 3], dtype="Int64"),
            "flag": [True, False, True],
        }
    )


def changed(data: Any, place: Any, value: Any) -> Any:
    data = copy.deepcopy(data)
    if hasattr(data, "iloc"):
        data.iloc[place] = value
    else:
        data[place] = value
    return data


CASES: dict[str, tuple[Make, Any, Any]] = {  # data, a place in it, another value
    "2d": (matrix, (5, 3), -1),
    "1d": (lambda: np.arange(5), 4, 7),
    "0d": (lambda: np.array(3.0), (), 4.0),
    "columns first": (lambda: np.asfortranarray(matrix()), (0, 3), -1),
    "3d": (lambda: np.zeros((2, 3, 4), "f4"), (1, 2, 3), 1),
    "bool": (lambda: np.zeros(4, bool), 2, True),
    "complex": (lambda: np.zeros(4, complex), 2, 1j),
    "text": (lambda: np.array(["a", "bc"]), 1, "b"),
    "bytes": (lambda: np.array([b"a", b"bc"]), 1, b"b"),
    "dates": (lambda: np.array(["2024-01-01", "2024-01-02"], "M8[D]"), 0, "2025-01-01"),
    "records": (lambda: np.zeros(3, [("x", "i4"), ("y", "f8")]), 1, (1, 2.0)),
    "not in one piece": (lambda: np.arange(40.0).reshape(5, 8)[:, ::2], (4, 3), -1),
    "backwards": (lambda: np.arange(5)[::-1], 0, 9),
    "nan": (lambda: np.array([np.nan, 1.0]), 1, np.nan),
    "frame, float": (frame, (0, 0), 9.0),
    "frame, missing": (frame, (2, 0), 0.0),
    "frame, int": (frame, (2, 1), 9),
    "frame, text": (frame, (1, 2), "z"),
    "frame, category": (frame, (1, 3), "u"),
    "frame, date": (frame, (1, 4), pd.Timestamp("2025-01-01")),
    "frame, zone": (frame, (1, 5), pd.Timestamp("2025-01-01", tz="UTC")),
    "frame, Int64": (frame, (0, 6), 5),
    "frame, bool": (frame, (0, 7), False),
    "series": (lambda: pd.Series([1, 2, 3], name="s"), 0, 9),
    "series of texts": (lambda: pd.Series(["a", "b"]), 0, "c"),
    "wide frame": (lambda: pd.DataFrame(np.zeros((2, 784))), (1, 783), 1.0),
}
DATA = pytest.mark.parametrize(
    ("make", "place", "value"), [pytest.param(*case, id=name) for name, case in CASES.items()]
)


@DATA
def test_the_same_data_has_the_same_fingerprint(make: Make, place: Any, value: Any) -> None:
    digest = describe(make(), "X").digest
    assert digest.startswith("xxh3:")
    assert describe(make(), "other name").digest == digest
    assert describe(copy.deepcopy(make()), "X").digest == digest


@DATA
def test_one_other_value_has_another_fingerprint(make: Make, place: Any, value: Any) -> None:
    other = changed(make(), place, value)
    assert describe(other, "X").digest != describe(make(), "X").digest


@DATA
def test_data_is_not_touched(make: Make, place: Any, value: Any) -> None:
    data, before = make(), make()
    if isinstance(data, np.ndarray):
        data.flags.writeable = False
    describe(data, "X")
    if isinstance(data, np.ndarray):
        assert data.dtype == before.dtype
        assert data.tobytes() == before.tobytes()
        assert data.strides == before.strides
    else:
        assert data.equals(before)
        assert type(data) is type(before)


@DATA
def test_facts_are_json(make: Make, place: Any, value: Any) -> None:
    facts = describe(make(), "X")
    json.dumps([facts.schema, facts.profile], allow_nan=False)
    assert facts.profile["shape"] == list(make().shape)


def test_the_order_in_memory_makes_no_difference() -> None:
    rows = matrix()
    columns, slices = np.asfortranarray(rows), np.repeat(rows, 2, axis=1)[:, ::2]
    assert not columns.flags.c_contiguous
    assert not slices.flags.c_contiguous
    digests = {describe(data, "X").digest for data in (rows, columns, slices)}
    assert len(digests) == 1
    assert describe(rows.T, "X").digest not in digests


def test_shape_and_type_count() -> None:
    zeros = [np.zeros(4), np.zeros((2, 2)), np.zeros((4, 1)), np.zeros(8, "f4"), np.zeros(4, int)]
    assert len({describe(data, "X").digest for data in zeros}) == len(zeros)


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros((0, 3)),
        lambda: np.zeros((3, 0)),
        pd.DataFrame,
        lambda: pd.DataFrame({"a": []}),
        lambda: pd.DataFrame({"a": pd.Series([], dtype="str")}),
        lambda: pd.DataFrame(index=range(3)),
        lambda: pd.Series([], dtype="float64"),
        lambda: sp.csr_matrix((0, 3)),
    ],
)
def test_nothing_has_a_fingerprint_too(make: Make) -> None:
    facts = describe(make(), "X")
    assert facts.profile["shape"] == list(make().shape)
    assert facts.digest == describe(make(), "X").digest


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("kind", [sp.coo_matrix, sp.coo_array])
def test_sparse(form: str, kind: type[Any]) -> None:
    dense = np.diag([1.0, 2.0, 3.0])
    dense[0, 2] = 5.0

    def make(values: Any) -> Any:
        return getattr(kind(values), f"to{form}")()

    facts = describe(make(dense), "X")
    assert facts.digest == describe(make(dense.copy()), "X").digest
    assert facts.profile == {"shape": [3, 3], "nnz": make(dense).nnz}
    assert facts.schema == {"dtype": "float64", "format": form}
    others = [dense.copy(), np.roll(dense, 1, axis=1)]
    others[0][1, 1] = 7.0
    for other in others:
        assert describe(make(other), "X").digest != facts.digest


@pytest.mark.parametrize("form", ["lil", "dok"])
def test_sparse_formats_of_python_objects_have_no_fingerprint(form: str) -> None:
    facts = describe(getattr(sp.coo_matrix(np.eye(3)), f"to{form}")(), "X")
    assert facts.digest == ""
    assert facts.profile["nnz"] == 3


def test_objects_have_no_fingerprint() -> None:
    assert describe(np.array([1, "a", None], dtype=object), "X").digest == ""
    assert describe(np.array(["a", "b"], dtype=np.dtypes.StringDType()), "X").digest == ""


def test_columns_of_lists() -> None:
    facts = describe(pd.DataFrame({"a": [[1], [2, 3]]}), "X")
    assert facts.profile == {"shape": [2, 1]}


@pytest.mark.parametrize(
    ("data", "source_type", "shape"),
    [
        ([1, 2, 3], "list", [3]),
        ([[1, 2], [3, 4], [5, 6]], "list", [3, 2]),
        (([1], [2, 3]), "tuple", [2]),
        ([], "list", [0]),
        ("text", "str", None),
        (datetime.date(2024, 1, 1), "datetime", None),
        ({"a": [1]}, "dict", None),
        (None, "NoneType", None),
        (range(3), "range", None),
    ],
)
def test_other_containers(data: object, source_type: str, shape: list[int] | None) -> None:
    facts = describe(data, "X")
    assert (facts.name, facts.digest, facts.source_type) == ("X", "", source_type)
    assert facts.profile.get("shape") == shape


def test_something_with_a_shape() -> None:
    class Tensor:
        shape = (3, 4)

    class Odd:
        shape = "round"

    assert describe(Tensor(), "X").profile == {"shape": [3, 4]}
    assert describe(Odd(), "X").profile == {}


def test_numpy_scalars() -> None:
    assert describe(np.float64(1.0), "X").profile["shape"] == []


def test_schema_of_a_frame() -> None:
    facts = describe(frame(), "X")
    kinds = {column["name"]: column["type"] for column in facts.schema["columns"]}
    assert (kinds["a"], kinds["cat"], kinds["int"]) == ("float64", "category", "Int64")
    wide = describe(pd.DataFrame(np.zeros((1, 1000))), "X")
    assert len(wide.schema["columns"]) == 500


# -- large data


def test_a_prefix_says_when_only_some_bytes_were_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FULL_HASH_BYTES", MB)
    large = np.zeros(MB - 1000, "u1")
    assert describe(large, "X").digest.startswith("xxh3:")
    larger = np.zeros(2 * MB, "u1")
    digest = describe(larger, "X").digest
    assert digest.startswith("xxh3-sampled:")
    for place in (0, -1):  # the ends are always among them
        other = larger.copy()
        other[place] = 1
        assert describe(other, "X").digest != digest
    in_pieces = np.zeros((MB + MB // 4, 4), "u1")[:, ::2]  # of which every third row is read
    assert describe(in_pieces, "X").digest.startswith("xxh3-sampled:")
    many = pd.DataFrame({str(i): np.zeros(MB // 2, "u1") for i in range(4)})
    assert describe(many, "X").digest.startswith("xxh3-sampled:")


def test_more_columns_than_are_read() -> None:
    mixed = {f"c{i}": [float(i)] if i % 2 else [i] for i in range(600)}
    assert describe(pd.DataFrame(mixed), "X").digest.startswith("xxh3-sampled:")


def test_too_many_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_OBJECTS", 5)
    assert describe(pd.DataFrame({"a": ["x"] * 5}, dtype=object), "X").digest
    sampled = describe(pd.DataFrame({"a": list("abcdef")}, dtype=object), "X").digest
    assert sampled.startswith("xxh3-sampled:")
    assert sampled == describe(pd.DataFrame({"a": list("aXcXeX")}, dtype=object), "X").digest
    assert sampled != describe(pd.DataFrame({"a": list("abXdef")}, dtype=object), "X").digest


@given(buffers=st.lists(st.binary(max_size=50), max_size=5))
def test_a_fingerprint_is_that_of_the_bytes_in_order(buffers: list[bytes]) -> None:
    views = [memoryview(buffer) for buffer in buffers]
    assert fingerprint(views) == fingerprint([memoryview(b"".join(buffers))])
