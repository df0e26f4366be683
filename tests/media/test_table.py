"""Tables as files: written, appended to, read; images in cells; the tag that names them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.errors import InvalidParameterError
from nbtrack.media import Image, add_table, decode_table, encode_table, logged_tables


def again(data: Any, path: str = "t.json") -> pd.DataFrame:
    return decode_table(encode_table(data, path)[path], path)


def test_numbers_keep_all_their_digits() -> None:
    values = [0.1 + 0.2, 1e-300, 1.7976931348623157e308, -1e22, 5e-324]
    assert again({"x": values})["x"].tolist() == values
    assert again({"x": [2**53 + 1, -(2**63)]})["x"].tolist() == [2**53 + 1, -(2**63)]


def test_text_that_looks_like_a_number_stays_text() -> None:
    first = encode_table({"zip": ["007", "1e5"]}, "t.json")["t.json"]
    second = encode_table({"zip": ["008"]}, "t.json", first)["t.json"]
    assert decode_table(second, "t.json")["zip"].tolist() == ["007", "1e5", "008"]


def test_what_json_has_not_is_null() -> None:
    data = {
        "f": [math.inf, math.nan, 1.0],
        "o": pd.Series([math.inf, [math.nan, 2], {"a": -math.inf}], dtype=object),
        "i": pd.array([1, None, 3], dtype="Int64"),
    }
    rows = json.loads(encode_table(data, "t.json")["t.json"])["data"]
    assert rows == [[None, None, 1], [None, [None, 2], None], [1.0, {"a": None}, 3]]


def test_dates_come_back_where_the_name_says_so() -> None:
    when = pd.to_datetime(["2024-01-02 03:04:05.123456789", None])
    frame = again(pd.DataFrame({"date": when, "day": when, "made_at": ["x", "y"]}))
    assert frame["date"].tolist()[0] == when[0]
    assert pd.isna(frame["date"][1])
    assert frame["day"][0] == "2024-01-02T03:04:05.123456789"
    assert frame["made_at"].tolist() == ["x", "y"]
    zoned = again(pd.DataFrame({"date": when.tz_localize("Asia/Tokyo")}))
    assert zoned["date"][0] == when[0].tz_localize("Asia/Tokyo")


def test_rows_are_appended_and_columns_united() -> None:
    content = None
    for data in ({"x": 1, "y": "a"}, {"z": [True, False]}, pd.DataFrame({"y": ["b"]}, index=[9])):
        content = encode_table(data, "t.json", content)["t.json"]
    assert json.loads(content or b"") == {
        "columns": ["x", "y", "z"],
        "data": [
            [1, "a", None],
            [None, None, True],
            [None, None, False],
            [None, "b", None],
        ],
    }


def test_the_users_frame_stays_as_it_was() -> None:
    pytest.importorskip("PIL")
    frame = pd.DataFrame({"i": [Image([[1]])], 7: [1]}, index=[5])
    kept = frame.copy()
    encode_table(frame, "t.json")
    pd.testing.assert_frame_equal(frame, kept)


@pytest.mark.parametrize("path", ["dir/t.json", "dir/t.parquet"])
def test_images_in_cells_are_files_beside(path: str) -> None:
    pil = pytest.importorskip("PIL.Image")
    if path.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    images = [pil.new("RGB", (2, 2)), Image([[0, 1]])]
    files = encode_table({"name": ["a", "b"], "image": images}, path)
    cells = decode_table(files.pop(path), path)["image"].tolist()
    assert {cell["filepath"] for cell in cells} | {
        cell["compressed_filepath"] for cell in cells
    } == set(files)
    assert all(cell["type"] == "image" for cell in cells)
    assert all(name.startswith("table_images/dir/t/") for name in files)
    assert all(data[1:4] == b"PNG" or data[8:12] == b"WEBP" for data in files.values())


def test_a_column_of_images_and_other_things_is_refused() -> None:
    pytest.importorskip("PIL")
    with pytest.raises(InvalidParameterError, match="column 'i' of the table has images and other"):
        encode_table({"i": [Image([[0]]), "none"]}, "t.json")


def test_parquet() -> None:
    pytest.importorskip("pyarrow")
    when = pd.to_datetime(["2024-01-02", None])
    frame = pd.DataFrame({"x": [1, 2], "y": ["007", None], "when": when, 3: [0.5, 1.5]})
    first = encode_table(frame, "t.parquet")["t.parquet"]
    both = decode_table(encode_table({"z": [1]}, "t.parquet", first)["t.parquet"], "t.parquet")
    assert list(both) == ["x", "y", "when", "3", "z"]
    assert both["y"].tolist()[0] == "007"
    assert both["when"].tolist()[0] == when[0]
    with pytest.raises(InvalidParameterError, match=r"'t.parquet' cannot be written"):
        encode_table({"x": [1, "a"]}, "t.parquet")
    with pytest.raises(InvalidParameterError, match=r"'t.parquet' is no table"):
        decode_table(b"PAR1", "t.parquet")


class Tensor:
    """What is used of a torch tensor."""

    __module__ = "torch"

    def __init__(self, value: Any) -> None:
        self.value = value

    def tolist(self) -> Any:
        return self.value


def test_arrays_and_tensors_are_columns() -> None:
    data = {"e": np.arange(4).reshape(2, 2), "t": Tensor([1.5, 2.0]), "s": 7}
    rows = json.loads(encode_table(data, "t.json")["t.json"])["data"]
    assert rows == [[[0, 1], 1.5, 7], [[2, 3], 2.0, 7]]
    scalars = {"loss": Tensor(0.5), "n": np.int64(3), "z": np.array(1.0)}
    assert json.loads(encode_table(scalars, "t.json")["t.json"])["data"] == [[0.5, 3, 1.0]]


def test_two_columns_of_one_name_that_mlflow_wrote_are_read() -> None:
    frame = decode_table(
        b'{"columns":["date","date"],"data":[["2024-01-01T00:00:00",1]]}', "t.json"
    )
    assert frame.to_numpy().tolist() == [["2024-01-01T00:00:00", 1]]


def test_polars() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"x": [1, None], "y": ["a", "b"]})
    wanted = {"t.json": b'{"columns":["x","y"],"data":[[1.0,"a"],[null,"b"]]}'}
    assert encode_table(frame, "t.json") == encode_table(frame.lazy(), "t.json") == wanted


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([1, 2], "A list is no table"),
        (pd.Series([1]), "A Series is no table"),
        ({"x": [1], "y": [1, 2]}, "do not fit together"),
        ({"x": np.zeros(1), "y": np.zeros(2)}, "do not fit together"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "two columns 'x'"),
        ({1: [1], (1,): [2], "[1]": [3]}, r"two columns '\[1\]'"),
    ],
)
def test_what_is_no_table_is_told(data: Any, says: str) -> None:
    with pytest.raises(InvalidParameterError, match=says) as caught:
        encode_table(data, "t.json")
    assert caught.value.hint


def test_a_cell_without_an_end_is_told() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidParameterError, match="contains itself"):
        encode_table({"x": [endless]}, "t.json")


def test_columns_of_arrow_are_written() -> None:
    pytest.importorskip("pyarrow")
    when = pd.Series(pd.to_datetime(["2024-01-02", None])).astype("timestamp[ns][pyarrow]")
    data = {"t": when, "x": pd.Series([1, None], dtype="int64[pyarrow]")}
    rows = json.loads(encode_table(data, "t.json")["t.json"])["data"]
    assert rows == [["2024-01-02T00:00:00", 1], [None, None]]


@pytest.mark.parametrize(
    "path", ["t.csv", "t", "t.JSON", "a:b.json", "a'b.json", 'a"b.json', "a,.json"]
)
def test_a_path_that_no_table_can_have(path: str) -> None:
    for call in (lambda: encode_table({"x": 1}, path), lambda: decode_table(b"", path)):
        with pytest.raises(InvalidParameterError, match="is no path for a table"):
            call()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"columns": 1, "data": []}',
        b'{"columns": ["x"]}',
        b'{"columns": ["x"], "data": [1]}',
        b'{"columns": ["x"], "data": [[1, 2]]}',
        b'{"columns": [["x"]], "data": []}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_table_is_told(content: bytes) -> None:
    with pytest.raises(InvalidParameterError, match=r"'t.json' is no table that log_table wrote"):
        decode_table(content, "t.json")
    with pytest.raises(InvalidParameterError, match=r"'t.json' is no table"):
        encode_table({"x": 1}, "t.json", content)


def test_the_tag_names_each_table_once() -> None:
    tag = add_table("b.json", add_table("a.json", None))
    assert tag == '[{"path": "a.json", "type": "table"}, {"path": "b.json", "type": "table"}]'
    assert add_table("a.json", tag) == tag
    assert logged_tables(tag) == ["a.json", "b.json"]
    assert logged_tables(None) == logged_tables('[1, {"path": "x", "type": "other"}]') == []


@pytest.mark.parametrize("tag", ["x", "{}", "1", "["])
def test_a_tag_of_something_else_is_not_overwritten(tag: str) -> None:
    with pytest.raises(InvalidParameterError, match="Delete the tag"):
        add_table("a.json", tag)


cells = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@given(values=st.lists(cells, max_size=4), name=st.text() | st.integers())
def test_cells_of_any_kind_are_read_as_they_were(values: list[Any], name: Any) -> None:
    data = {name: pd.Series(values, dtype=object)}
    written = json.loads(encode_table(data, "t.json")["t.json"])
    assert written["columns"] == [name]
    plain = json.loads(json.dumps(values).replace("-Infinity", "null").replace("Infinity", "null"))
    assert [row[0] for row in written["data"]] == plain
    decode_table(encode_table(data, "t.json")["t.json"], "t.json")


@given(
    frames=st.lists(
        st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), min_size=1), max_size=4
    )
)
def test_appending_is_as_concatenating(frames: list[dict[str, int]]) -> None:
    content = None
    for frame in frames:
        content = encode_table(frame, "t.json", content)["t.json"]
    if content is None:
        return
    found = decode_table(content, "t.json").astype(float)
    wanted = pd.concat([pd.DataFrame([frame]) for frame in frames], ignore_index=True)
    np.testing.assert_array_equal(found.to_numpy(), wanted.astype(float).to_numpy())
    assert list(found) == list(wanted)
