"""Datasets: their parts, their errors, and what is stored of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack import data, types
from nbtrack.data.record import is_dataset
from nbtrack.errors import InvalidParameterError


def wine() -> pd.DataFrame:
    return pd.DataFrame({"acid": [7.4, 7.8], "sugar": [1.9, 2.6], "quality": [5, 6]})


def test_a_dataset_has_its_parts() -> None:
    frame = wine()
    dataset = data.from_pandas(frame, source="wine.csv", targets="quality", name="wine")
    assert dataset.df is frame
    assert (dataset.name, dataset.targets, dataset.predictions) == ("wine", "quality", None)
    assert dataset.source == data.LocalDatasetSource("wine.csv")
    assert dataset.source_type == "local"
    assert json.loads(dataset.to_json()) == dataset.to_dict()


def test_the_same_data_has_the_same_digest_and_other_data_another() -> None:
    assert data.from_pandas(wine()).digest == data.from_pandas(wine()).digest
    changed = wine()
    changed.loc[1, "sugar"] = 2.7
    assert data.from_pandas(changed).digest != data.from_pandas(wine()).digest
    assert data.from_pandas(wine(), digest="mine").digest == "mine"


def test_dicts_and_lists_are_frames() -> None:
    columns = data.from_dict({"x": [1, 2], "y": [0, 1]}, targets="y")
    rows = data.from_list([{"x": 1, "y": 0}, {"x": 2, "y": 1}], targets="y")
    assert columns.digest == rows.digest
    assert columns.schema == rows.schema


def test_an_object_without_a_source_comes_from_this_code() -> None:
    source = data.from_numpy(np.zeros(3)).source
    assert isinstance(source, data.CodeDatasetSource)
    assert {"mlflow.user", "mlflow.source.name", "mlflow.source.type"} <= set(source.tags)


@pytest.mark.filterwarnings("error")
def test_names_of_columns_of_several_kinds_are_no_reason_to_warn() -> None:
    frame = pd.DataFrame({1: [1], "a": ["x"], pd.Timestamp("2024-01-01"): [2.0]})
    names = data.from_pandas(frame).schema.input_names()
    assert names == [1, "a", "2024-01-01 00:00:00"]


def test_a_subclass_of_ones_own_says_its_digest() -> None:
    class Mine(data.Dataset):
        def _compute_digest(self) -> str:
            return "abc"

    record = data.to_record(Mine(data.resolve_source("a.csv")))
    assert (record.name, record.digest, record.schema, record.profile) == ("dataset", "abc", {}, {})


def test_a_dataset_of_which_only_the_source_is_known() -> None:
    source = data.HTTPDatasetSource("https://example.org/wine.csv")
    assert data.MetaDataset(source, name="wine").digest == "adbac829"  # as MLflow's
    schema = data.infer_schema(wine())
    record = data.to_record(data.MetaDataset(source, schema=schema))
    assert [column["name"] for column in record.schema["mlflow_colspec"]] == list(wine())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: data.from_pandas([1, 2]), "from_pandas takes a pandas.DataFrame, not a builtins"),
        (lambda: data.from_pandas(wine()["acid"]), r"not a pandas\..*Series"),
        (lambda: data.from_polars(wine()), "from_polars takes a polars.DataFrame"),
        (lambda: data.from_numpy([1, 2]), "from_numpy takes a numpy.ndarray"),
        (lambda: data.from_numpy({"a": [1]}), "from_numpy takes a numpy.ndarray"),
        (lambda: data.from_numpy({}), "no array in the features"),
        (lambda: data.from_huggingface({"a": 1}), "from_huggingface takes a datasets.Dataset"),
        (lambda: data.from_dict([1]), "no dict of columns"),
        (lambda: data.from_dict({"a": [1], "b": [1, 2]}), "The data makes no table"),
        (lambda: data.from_pandas(wine(), targets="price"), "targets='price' is no column"),
        (lambda: data.from_pandas(wine(), predictions="p"), "predictions='p' is no column"),
        (lambda: data.from_pandas(wine(), source=3), "A int is no source"),
        (lambda: data.from_pandas(wine(), source="gopher://x"), "the scheme 'gopher' is none of"),
    ],
)
def test_what_cannot_be_a_dataset_is_told(make: Any, says: str) -> None:
    with pytest.raises(InvalidParameterError, match=says) as caught:
        make()
    assert caught.value.hint


def test_the_record_has_no_data_and_no_secret() -> None:
    dataset = data.from_pandas(wine(), source="https://me:hunter2@example.org/wine.csv")
    record = data.to_record(dataset, "other")
    assert record.name == "other"
    assert record.source_type == "http"
    assert record.profile == {"num_rows": 2, "num_elements": 6}
    assert "hunter2" not in str(record)
    assert "7.4" not in str(record)
    assert json.loads(record.source)["url"].startswith("https://me:")


def test_bare_data_is_described() -> None:
    record = data.to_record(np.zeros((3, 2)), "X")
    assert (record.name, record.source_type, record.source) == ("X", "numpy", "")
    assert record.digest.startswith("xxh3:")
    assert data.to_record([1, 2]).name == "dataset"
    assert data.to_record(record) is record


def test_a_frame_with_columns_named_like_the_parts_of_a_dataset_is_data() -> None:
    frame = pd.DataFrame({"name": ["a"], "digest": ["b"], "source": ["c"]})
    assert not is_dataset(frame)
    assert data.to_record(frame, "f").source_type == "pandas"


class FromElsewhere:
    """A dataset with MLflow's interface, and no class of ours."""

    name, digest, source = "n", "d", data.LocalDatasetSource("a.csv")

    def __init__(self, **facts: Any) -> None:
        self.facts = {
            "name": "n",
            "digest": "d",
            "source": self.source.to_json(),
            "source_type": "local",
        } | facts

    def to_dict(self) -> dict[str, Any]:
        return self.facts

    def to_json(self) -> str:
        return json.dumps(self.facts)


def test_a_dataset_of_another_library_is_taken() -> None:
    foreign = FromElsewhere(schema="null", profile='{"num_rows": 2}')
    assert is_dataset(foreign)
    record = data.to_record(foreign)
    assert record == types.Dataset("n", "d", "local", {}, {"num_rows": 2}, '{"uri": "a.csv"}')
    assert data.get_source(foreign) is foreign.source


def test_a_dataset_that_tells_too_little_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="A FromElsewhere is no dataset"):
        data.to_record(FromElsewhere(profile="{"))


def test_a_source_comes_back_from_what_is_stored() -> None:
    record = data.to_record(data.from_pandas(wine(), source="wine.csv"))
    for stored in (record, types.DatasetInput(record, "train")):
        assert data.get_source(stored) == data.LocalDatasetSource("wine.csv")
    with pytest.raises(InvalidParameterError, match="'numpy' is no type of source"):
        data.get_source(data.to_record(np.zeros(3)))
    with pytest.raises(InvalidParameterError, match="A list is no dataset"):
        data.get_source([1])


cells = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(values=st.lists(cells, max_size=5), name=st.text(max_size=3))
def test_every_frame_has_a_record_that_json_can_hold(values: list[Any], name: str) -> None:
    frame = pd.DataFrame({name: pd.Series(values, dtype=object)})
    record = data.to_record(data.from_pandas(frame, source="x"))
    json.dumps([record.schema, record.profile])
    assert record.profile["num_rows"] == len(values)


def test_huggingface() -> None:
    datasets = pytest.importorskip("datasets")
    ds = datasets.Dataset.from_dict({"x": [1, 2], "y": ["a", "b"]})
    dataset = data.from_huggingface(ds, path="me/wine", targets="y", revision="main")
    assert dataset.digest == data.from_pandas(pd.DataFrame({"x": [1, 2], "y": ["a", "b"]})).digest
    assert dataset.profile["num_rows"] == 2
    assert dataset.source.to_dict()["revision"] == "main"
    with pytest.raises(InvalidParameterError, match="targets='z'"):
        data.from_huggingface(ds, targets="z")


def test_polars() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"x": [1, 2]})
    dataset = data.from_polars(frame, targets="x")
    assert dataset.df is frame
    assert dataset.digest == data.from_polars(frame.clone()).digest != ""
