"""Data that is not simply in memory: tensors, loaders, datasets of Hugging Face, frames of Spark.

Nothing is fetched, iterated or computed: what lies on a device or in a cluster stays there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from nbtrack.types import Dataset


def describe(data: Any, name: str) -> Dataset:
    """Return what is known of data of torch, datasets or pyspark.

    Examples
    --------
    >>> class Loader:
    ...     __module__ = "torch.utils.data"
    ...     dataset, batch_size = range(10), 4
    ...     def __len__(self): return 3
    >>> describe(Loader(), "train").profile
    {'rows': 10, 'batch_size': 4, 'batches': 3}
    """
    kind = type(data).__module__.partition(".")[0]
    if kind == "pyspark":
        return _spark(data, name)
    if kind == "datasets":
        return _hugging_face(data, name)
    if hasattr(data, "dtype") and hasattr(data, "shape"):
        return _tensor(data, name)
    return _torch_data(data, name)


def _tensor(data: Any, name: str) -> Dataset:
    return Dataset(
        name=name,
        digest=_tensor_digest([data]),
        source_type="torch",
        schema={"dtype": str(data.dtype)},
        profile={"shape": list(data.shape), "device": str(data.device)},
    )


def _tensor_digest(tensors: Sequence[Any]) -> str:
    """Return the fingerprint of tensors; empty unless all of them lie in this machine's memory."""
    from nbtrack.provenance.data import fingerprint

    torch = sys.modules["torch"]
    if any(t.device.type != "cpu" or t.layout is not torch.strided for t in tensors):
        return ""
    buffers = []
    for tensor in tensors:
        buffers.append(memoryview(f"{tuple(tensor.shape)} {tensor.dtype}".encode()))
        if tensor.numel():
            flat = tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
            buffers.append(memoryview(flat.view(torch.uint8).numpy()))
    return fingerprint(buffers)


def _torch_data(data: Any, name: str) -> Dataset:
    """Describe a dataset or a loader. A loader is what its dataset is, and how it cuts it."""
    is_loader = hasattr(data, "batch_size") and hasattr(data, "dataset")
    inner = data.dataset if is_loader else data
    profile: dict[str, Any] = {}
    if (rows := _length(inner)) is not None:
        profile["rows"] = rows
    if is_loader:
        profile["batch_size"] = data.batch_size
        if (batches := _length(data)) is not None:
            profile["batches"] = batches
    if tensors := getattr(inner, "tensors", ()):
        profile["shapes"] = [list(tensor.shape) for tensor in tensors]
    schema = {"type": type(inner).__qualname__}
    return Dataset(name, _torch_digest(inner), "torch", schema, profile)


def _torch_digest(data: Any) -> str:
    """Return the fingerprint of a dataset that is made of tensors, of datasets, or is a part."""
    from nbtrack.provenance.data import fingerprint

    torch = sys.modules.get("torch")
    if torch is not None and isinstance(data, torch.Tensor):
        return _tensor_digest([data])
    if tensors := getattr(data, "tensors", ()):
        return _tensor_digest(tensors)
    indices = _indices(getattr(data, "indices", None))
    if indices is not None and hasattr(data, "dataset"):
        whole = _torch_digest(data.dataset)
        return fingerprint([memoryview(f"{whole} {indices}".encode())]) if whole else ""
    parts = getattr(data, "datasets", None)  # of several, one after or beside the other
    if isinstance(parts, list | tuple) and parts:
        marks = [_torch_digest(part) for part in parts]
        text = f"{type(data).__qualname__} {marks}"
        return fingerprint([memoryview(text.encode())]) if all(marks) else ""
    mark = getattr(data, "_fingerprint", None)  # of Hugging Face
    return f"hf:{mark}" if isinstance(mark, str) else ""


def _indices(indices: Any) -> list[int] | None:
    """Return the places of a part as a list, whatever has them."""
    if isinstance(indices, list):
        return indices
    if isinstance(indices, range | tuple):
        return list(indices)
    if getattr(indices, "ndim", 0) == 1 and hasattr(indices, "tolist"):
        return list(indices.tolist())
    return None


def _length(data: Any) -> int | None:
    """Return how long something says it is; it may be without end, or not know."""
    try:
        return len(data)
    except Exception:  # noqa: BLE001 - the user's own __len__, which nobody else has asked for
        return None


def _hugging_face(data: Any, name: str) -> Dataset:
    if isinstance(data, dict):  # its parts by name, as DatasetDict has them
        parts = {key: _hugging_face(part, str(key)) for key, part in data.items()}
        return Dataset(
            name=name,
            digest=_joined([part.digest for part in parts.values()]),
            source_type="huggingface",
            schema={"parts": {key: part.schema for key, part in parts.items()}},
            profile={"parts": {key: part.profile for key, part in parts.items()}},
        )
    features = getattr(data, "features", None) or {}
    rows, mark = getattr(data, "num_rows", None), getattr(data, "_fingerprint", None)
    return Dataset(
        name=name,
        digest=f"hf:{mark}" if mark else "",  # of what it was made from, and how
        source_type="huggingface",
        schema={"columns": [{"name": str(k), "type": str(v)} for k, v in features.items()]},
        profile={} if rows is None else {"shape": [int(rows), len(features)]},
    )


def _joined(digests: Sequence[str]) -> str:
    return "+".join(digests) if all(digests) else ""


def _spark(data: Any, name: str) -> Dataset:
    # Frames of pandas on Spark count their rows when asked for a shape: nothing is asked of them.
    fields = getattr(getattr(data, "schema", None), "fields", ())
    return Dataset(
        name=name,
        digest="",
        source_type="spark",
        schema={"columns": [{"name": f.name, "type": f.dataType.simpleString()} for f in fields]},
        profile={},
    )
