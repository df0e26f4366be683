"""Data that is not simply in memory is described without being fetched or iterated."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import polars as pl
import pytest

from nbtrack.provenance import data as module
from nbtrack.provenance.data import describe


def test_polars() -> None:
    frame = pl.DataFrame({"a": [1.5, 2.5], "b": ["x", None], "c": [[1], [2, 3]]})
    facts = describe(frame, "X")
    assert facts.digest == describe(frame.clone(), "X").digest
    assert facts.digest.startswith("xxh3:")
    assert facts.profile == {"shape": [2, 3]}
    assert facts.schema["columns"][1] == {"name": "b", "type": "String"}
    for name, other in (("a", [1.5, 2.0]), ("b", ["x", ""]), ("c", [[1], [2, 4]])):
        changed = frame.with_columns(pl.Series(name, other))
        assert describe(changed, "X").digest != facts.digest
    assert describe(frame["b"], "y").profile == {"shape": [2]}
    assert describe(frame["b"], "y").digest != describe(frame["a"], "y").digest
    objects = pl.DataFrame({"o": [object()]}, schema={"o": pl.Object})
    assert describe(objects, "X").digest == ""
    two_chunks = pl.concat([frame[:1], frame[1:]], rechunk=False)
    assert describe(two_chunks.select("b"), "X").digest == describe(frame.select("b"), "X").digest


def test_much_polars_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_HASHED", 10)
    frame = pl.DataFrame({"a": range(10), "b": ["x"] * 10})
    assert describe(frame.select("a"), "X").digest.startswith("xxh3:")
    assert describe(frame, "X").digest.startswith("xxh3-sampled:")


def test_a_query_is_not_computed() -> None:
    def boom(_: Any) -> Any:
        raise AssertionError("computed")

    facts = describe(pl.LazyFrame({"a": [1]}).map_batches(boom), "X")
    assert (facts.source_type, facts.digest, facts.profile) == ("polars", "", {})


def fake(module_name: str, name: str, **members: Any) -> Any:
    return type(name, (), {"__module__": module_name, **members})()


def test_spark_frames_are_not_collected() -> None:
    def boom(self: Any) -> Any:
        raise AssertionError("collected")

    field = types.SimpleNamespace(
        name="x", dataType=fake("pyspark", "T", simpleString=lambda _: "int")
    )
    frame = fake(
        "pyspark.sql.dataframe",
        "DataFrame",
        schema=types.SimpleNamespace(fields=[field]),
        count=boom,
        collect=boom,
        shape=property(boom),
    )
    facts = describe(frame, "X")
    assert facts.schema == {"columns": [{"name": "x", "type": "int"}]}
    assert (facts.source_type, facts.profile, facts.digest) == ("spark", {}, "")
    frame = fake("pyspark.pandas.frame", "DataFrame", shape=property(boom))
    assert describe(frame, "X").schema == {"columns": []}


def test_loaders_are_never_iterated() -> None:
    def boom(self: Any) -> Any:
        raise AssertionError("iterated")

    endless = fake("torch.utils.data", "Stream", __iter__=boom, __len__=boom)
    loader = fake("torch.utils.data", "DataLoader", dataset=endless, batch_size=8, __iter__=boom)
    facts = describe(loader, "train")
    assert facts.profile == {"batch_size": 8}
    assert facts.schema == {"type": "Stream"}


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    facts = describe(tensor, "X")
    assert facts.profile == {"shape": [3, 4], "device": "cpu"}
    assert facts.schema == {"dtype": "torch.float32"}
    assert facts.digest.startswith("xxh3:")
    assert facts.digest == describe(tensor.clone().requires_grad_(), "X").digest
    assert facts.digest == describe(tensor.t().contiguous().t(), "X").digest
    assert facts.digest != describe(tensor.reshape(4, 3), "X").digest
    assert describe(tensor.bfloat16(), "X").digest != facts.digest
    assert describe(tensor.to_sparse(), "X").digest == ""
    assert describe(torch.empty(2, device="meta"), "X").digest == ""
    assert describe(torch.zeros(0), "X").digest
    assert describe(torch.tensor(1.5), "X").profile["shape"] == []
    assert describe(torch.view_as_complex(torch.ones(2, 2)).conj(), "X").digest


def test_torch_datasets() -> None:
    torch = pytest.importorskip("torch")
    data = torch.utils.data
    pairs = data.TensorDataset(torch.arange(10.0)[:, None], torch.arange(10))
    loader = data.DataLoader(pairs, batch_size=4, shuffle=True)
    before = torch.random.get_rng_state()
    facts = describe(loader, "train_loader")
    assert torch.equal(before, torch.random.get_rng_state())
    assert facts.profile == {
        "rows": 10,
        "batch_size": 4,
        "batches": 3,
        "shapes": [[10, 1], [10]],
    }
    assert facts.digest == describe(pairs, "train").digest
    part = data.Subset(pairs, [0, 1])
    assert describe(part, "part").profile == {"rows": 2}
    assert describe(part, "part").digest == describe(data.Subset(pairs, [0, 1]), "part").digest
    digests = {describe(data.Subset(pairs, [0, n]), "part").digest for n in (1, 2, 3)}
    assert len(digests | {facts.digest}) == 4


def test_parts_and_joints_of_torch_datasets() -> None:
    torch = pytest.importorskip("torch")
    data = torch.utils.data
    pairs = data.TensorDataset(torch.arange(10.0)[:, None], torch.arange(10))
    given = ([0, 1], (0, 1), range(2), np.array([0, 1]), torch.tensor([0, 1]))
    parts = [describe(data.Subset(pairs, indices), "part").digest for indices in given]
    assert len(set(parts)) == 1
    assert parts[0]
    train, test = data.random_split(pairs, [8, 2])
    assert describe(train, "train").digest != describe(test, "test").digest
    both = [describe(data.ConcatDataset(order), "d").digest for order in ([train, test], [test])]
    assert len({*both, ""}) == 3
    stacked = data.StackDataset(torch.ones(3), torch.zeros(3))
    assert describe(stacked, "d").digest == describe(stacked, "d").digest != ""


def test_streams_of_torch_are_not_iterated() -> None:
    torch = pytest.importorskip("torch")
    data = torch.utils.data

    class Stream(data.IterableDataset):
        def __iter__(self) -> Any:
            raise AssertionError("iterated")

    for dataset in (Stream(), data.ChainDataset([Stream()])):
        facts = describe(data.DataLoader(dataset, batch_size=4), "stream")
        assert (facts.digest, facts.profile) == ("", {"batch_size": 4})


def test_hugging_face() -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]})
    facts = describe(data, "train")
    assert facts.digest == f"hf:{data._fingerprint}"
    assert facts.profile == {"shape": [2, 2]}
    parts = datasets.DatasetDict({"train": data, "test": data.select([0])})
    assert describe(parts, "d").profile["parts"]["test"] == {"shape": [1, 2]}
    torch = pytest.importorskip("torch")
    loader = torch.utils.data.DataLoader(data.with_format("torch"), batch_size=2)
    assert describe(loader, "train_loader").digest.startswith("hf:")
    stream = data.to_iterable_dataset()
    assert describe(stream, "s").digest == ""


def test_nothing_is_imported() -> None:
    assert {"pyspark", "datasets"} & {name.partition(".")[0] for name in sys.modules} <= {
        "datasets"
    }
