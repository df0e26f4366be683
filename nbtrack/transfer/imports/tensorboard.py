"""Folders of TensorBoard's event files: each folder that has some is a run, as in TensorBoard.

Scalars become metrics, all of their points in the order of the files: also those that TensorBoard
hides because training was taken up again at an earlier step; how often that was says the tag
``tensorboard.restarts``. Hyperparameters become params. Images become files of a series, as
``log_image(key=..., step=...)`` names them. A short text that was logged once becomes a tag, other
texts become files. What else there is (histograms, graphs, audio ...) is counted and told.

A run's id follows from its folder's place in what is imported, the name of its first event file and
the time of its first event: a moved folder is the same runs, and what comes later goes on with
them. Each file is read twice and never as a whole: to see what is there, then for its points.
"""

from __future__ import annotations

import io
import math
import os
import re
import uuid
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from nbtrack.errors import IntegrityError, NbtrackError
from nbtrack.media import encode_preview, stepped_names
from nbtrack.transfer.checks import LAST_MS
from nbtrack.transfer.imports.base import (
    ForeignExperiment,
    ForeignFile,
    ForeignModel,
    ForeignRun,
    ForeignSeries,
)
from nbtrack.transfer.imports.event_files import (
    Place,
    event_files,
    events,
    message,
    tensorboard,
    verified_events,
)
from nbtrack.types import RunStatus

_POINTS = 65_536  # most of them in memory at once
_SHORT = 500  # characters of a text that fits a tag
_LONG_KEY = 200  # characters of a key in the name of a file
_EXACT = 2**53  # a float below has a whole number's digits
_NAMESPACE = uuid.UUID("5d1c0c50-7f43-5f0e-9d6c-6e6274726163")
_UNSAFE = re.compile(r"[^a-zA-Z0-9_\-. /]")
_KINDS = {
    "pr_curves": "precision-recall curves",
    "mesh": "meshes",
    "tensor": "tensors",
    "": "tensors",
    "custom_scalars": "layouts of custom scalars",
    "graph_run_metadata": "graphs",
    "graph_run_metadata_graph": "graphs",
    "graph_keras_model": "graphs",
}
_ENDINGS = {b"\x89PNG": "png", b"GIF8": "gif", b"\xff\xd8\xff": "jpg", b"RIFF": "webp"}
_PIXELS = 2**26  # most that are unpacked for a preview
_FAILURE = 2  # of the hyperparameters' plugin: STATUS_FAILURE


def is_tensorboard(path: Path) -> bool:
    """Return whether a folder has event files of TensorBoard, at any depth."""
    return path.is_dir() and next(event_files(path), None) is not None


class TensorBoardArchive:
    """Runs in a folder of event files; see `nbtrack.transfer.imports.base.Archive`.

    Parameters
    ----------
    path
        The folder: what ``tensorboard --logdir`` is given.
    experiment_name
        The experiment that the runs go into; None: the folder's name.

    Raises
    ------
    MissingPackageError
        The package ``tensorboard`` is not installed.
    """

    def __init__(self, path: Path, *, experiment_name: str | None = None) -> None:
        tensorboard("compat.proto.event_pb2")  # before anything is written
        self._root = path
        self._name = path.resolve().name or "tensorboard"
        self._experiment = experiment_name or self._name
        self.label = f"the TensorBoard folder {path}"
        self.problems: list[str] = []

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield the experiment."""
        yield ForeignExperiment(self._experiment)

    def run_count(self) -> int:
        """Return how many folders have event files."""
        return sum(1 for _ in event_files(self._root))

    def runs(self) -> Iterator[ForeignRun]:
        """Yield the runs; what none of them keeps is told after the last one."""
        left_out: Counter[str] = Counter()
        for folder, paths in event_files(self._root):
            scan = _Scan(self.problems)
            for path in paths:
                scan.read(path)
            left_out += scan.left_out
            relative = _text(folder.relative_to(self._root).as_posix())
            if scan.first_time is None:
                self.problems.append(f"The folder {relative!r} has no event that can be read.")
                continue
            identity = (relative, _text(paths[0].name), repr(scan.first_time))
            try:
                run = scan.run(
                    uuid.uuid5(_NAMESPACE, "\n".join(identity)).hex,
                    self._name if relative == "." else relative,
                    self._experiment,
                    {"nbtrack.import.source": f"tensorboard:{relative}"},
                )
            except (NbtrackError, OSError) as error:  # it has changed meanwhile
                self.problems.append(f"The folder {relative!r} cannot be read: {error}.")
                continue
            yield run
        if left_out:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))
            self.problems.append(f"Not imported from {self.label}: {kinds}.")

    def registered_models(self) -> Iterator[ForeignModel]:
        """Yield nothing: TensorBoard knows none."""
        return iter(())

    def close(self) -> None:
        """Do nothing: no file is open between two calls."""


@dataclass(slots=True)
class _Item:
    """An image or a text among the events: where it is."""

    place: Place
    value: int  # which value of the event
    step: int
    time_ms: int


@dataclass(slots=True)
class _Scan:
    """What the event files of a run have, but for its points."""

    problems: list[str]
    first_time: float | None = None
    start_ms: int = 0
    end_ms: int = 0
    status: RunStatus = RunStatus.FINISHED
    restarts: int = 0
    ends: dict[Path, int] = field(default_factory=dict)  # up to which byte a file is whole
    plugins: dict[str, str] = field(default_factory=dict)  # by key
    params: dict[str, str] = field(default_factory=dict)
    metrics_of_interest: list[str] = field(default_factory=list)
    texts: defaultdict[str, list[_Item]] = field(default_factory=lambda: defaultdict(list))
    images: defaultdict[str, list[_Item]] = field(default_factory=lambda: defaultdict(list))
    left_out: Counter[str] = field(default_factory=Counter)

    def read(self, path: Path) -> None:
        """Look at a file; what cannot be read of it is told."""
        self.ends[path] = 0
        try:
            for place, event in verified_events(path):
                self._look(place, event)
                self.ends[path] = place.offset + place.size + 4  # its checksum
        except IntegrityError as error:
            self.problems.append(f"{error.message} What is before was imported.")
        except OSError as error:
            self.problems.append(f"The event file {path} cannot be read: {error}.")

    def _look(self, place: Place, event: Any) -> None:
        time_ms = _ms(event.wall_time)
        if self.first_time is None:
            self.first_time = event.wall_time
            self.start_ms = self.end_ms = time_ms
        self.end_ms = max(self.end_ms, time_ms)
        kind = event.WhichOneof("what")
        if kind == "session_log":
            self.restarts += event.session_log.status == event.session_log.START and event.step > 0
        elif kind in ("graph_def", "meta_graph_def", "tagged_run_metadata"):
            self.left_out["graphs"] += 1
        elif kind == "summary":
            for i, value in enumerate(event.summary.value):
                self._look_at_value(value, _Item(place, i, event.step, time_ms))

    def _look_at_value(self, value: Any, item: _Item) -> None:
        plugin = _plugin(value, self.plugins)
        key = _key(value)
        match value.WhichOneof("value"), plugin:
            case ("simple_value", _) | ("tensor", "scalars"):
                return  # read with the points
            case (_, "hparams"):
                self._look_at_hparams(value)
            case ("image", _) | ("tensor", "images"):
                self.images[key].append(item)
            case ("tensor", "text"):
                self.texts[key.removesuffix("/text_summary")].append(item)  # which PyTorch adds
            case ("histo", _):
                self.left_out["histograms"] += 1
            case ("audio", _):
                self.left_out["audio"] += 1
            case _:
                self.left_out[_KINDS.get(plugin, plugin[:50].strip())] += 1

    def _look_at_hparams(self, value: Any) -> None:
        content = value.metadata.plugin_data.content
        try:
            data = message("plugins.hparams.plugin_data_pb2", "HParamsPluginData", content)
        except IntegrityError:
            self.left_out["records of hyperparameters that cannot be read"] += 1
            return
        for name, hparam in sorted(data.session_start_info.hparams.items()):
            self.params[name] = _param(hparam)
        for info in data.experiment.metric_infos:
            if info.name.tag and info.name.tag not in self.metrics_of_interest:
                self.metrics_of_interest.append(info.name.tag)
        if data.session_end_info.status == _FAILURE:
            self.status = RunStatus.FAILED

    # ------------------------------------------------------------------------- as a run

    def run(self, run_id: str, name: str, experiment: str, tags: dict[str, str]) -> ForeignRun:
        """Return the run that it is."""
        if self.restarts:
            tags["tensorboard.restarts"] = str(self.restarts)
        if self.metrics_of_interest:
            tags["tensorboard.metrics"] = ", ".join(self.metrics_of_interest)
        for key, items in list(self.texts.items()):
            text = _text_of(items[0]) if len(items) == 1 else ""
            if text and len(text) <= _SHORT and not key.startswith(("mlflow.", "nbtrack.")):
                tags[key] = text
                del self.texts[key]
        return ForeignRun(
            run_id,
            name,
            experiment,
            self.status,
            self.start_ms,
            self.end_ms,
            params=self.params,
            tags=tags,
            series=self._series,
            files=self._files,
        )

    def _series(self) -> Iterator[ForeignSeries]:
        columns: defaultdict[str, _Columns] = defaultdict(_Columns)
        count, plugins = 0, dict[str, str]()
        for path, end in self.ends.items():
            for event in events(path, end):
                time_ms = _ms(event.wall_time)
                for value in event.summary.value:
                    number = self._number(value, plugins)
                    if number is not None:
                        columns[_key(value)].add(event.step, time_ms, number)
                        count += 1
                if count >= _POINTS:
                    yield from (part.series(key) for key, part in columns.items())
                    columns.clear()
                    count = 0
        yield from (part.series(key) for key, part in columns.items())

    def _number(self, value: Any, plugins: dict[str, str]) -> float | None:
        """Return the number of a value that is one."""
        kind = value.WhichOneof("value")
        if kind == "simple_value":
            return float(value.simple_value)
        if kind != "tensor" or _plugin(value, plugins) != "scalars":
            return None
        # Its form first: one number may stand for as many as a tensor claims to have.
        if all(axis.size == 1 for axis in value.tensor.tensor_shape.dim):
            try:
                return float(tensorboard("util.tensor_util").make_ndarray(value.tensor).item())
            except (TypeError, ValueError):
                pass  # told below
        trouble = f"A scalar {_key(value)!r} is no number: it was left out."
        if trouble not in self.problems:
            self.problems.append(trouble)
        return None

    def _files(self) -> Iterator[ForeignFile]:
        for key, items in self.images.items():
            for item in items:
                yield from self._image_files(key, item)
        for key, items in self.texts.items():
            name = _safe(key).replace("/", "~")
            for item in items:
                path = f"texts/{name}+step+{item.step}+{_unique(key, item)}.txt"
                yield _file(path, _text_of(item).encode("utf-8", "replace"))

    def _image_files(self, key: str, item: _Item) -> Iterator[ForeignFile]:
        """Yield the images of a value, each followed by its preview if it can have one."""
        value = item.place.event().summary.value[item.value]
        if value.WhichOneof("value") == "image":
            images = [value.image.encoded_image_string]
        else:
            images = value.tensor.string_val[2:]  # after their width and height
        for i, data in enumerate(images):
            path, preview_path = stepped_names(
                _safe(key), item.step, item.time_ms, _unique(key, item, i)
            )
            ending = next((end for magic, end in _ENDINGS.items() if data.startswith(magic)), None)
            yield _file(f"{path.removesuffix('png')}{ending or 'bin'}", data)
            if ending is None:
                self.problems.append(f"The image {key!r} of step {item.step} is none: see {path}.")
            elif preview := _preview(data):
                yield _file(preview_path, preview)


@dataclass(slots=True)
class _Columns:
    """Points of a metric that wait."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    times: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, step: int, time_ms: int, value: float) -> None:
        """Add a point."""
        self.steps.append(step)
        self.times.append(time_ms)
        self.values.append(value)

    def series(self, key: str) -> ForeignSeries:
        """Return them as columns."""
        import numpy as np

        return ForeignSeries(
            key,
            np.frombuffer(self.steps, np.int64),
            np.frombuffer(self.times, np.int64),
            np.frombuffer(self.values, np.float64),
        )


def _plugin(value: Any, known: dict[str, str]) -> str:
    """Return which plugin a value is of: the first value of a key says it for all of them."""
    plugin = known.get(value.tag)
    if plugin is None:
        plugin = known[value.tag] = value.metadata.plugin_data.plugin_name
    return plugin


def _key(value: Any) -> str:
    return str(value.tag or value.node_name or "unnamed")


def _ms(seconds: float) -> int:
    """Return a time in ms; what is no time at all is the first one."""
    return min(max(round(seconds * 1000), 0), LAST_MS) if math.isfinite(seconds) else 0


def _param(value: Any) -> str:
    """Return a hyperparameter as Python writes it; whole numbers are floats there."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return str(int(number) if number.is_integer() and abs(number) < _EXACT else number)
    return str(getattr(value, kind)) if kind in ("string_value", "bool_value") else "None"


def _text_of(item: _Item) -> str:
    """Return a text; one of several parts has them as lines."""
    parts = item.place.event().summary.value[item.value].tensor.string_val
    return "\n".join(part.decode("utf-8", "replace") for part in parts)


def _text(name: str) -> str:
    """Return a name of a file as text: names are bytes."""
    return os.fsencode(name).decode("utf-8", "replace")


def _safe(key: str) -> str:
    """Return a key as it can stand in the name of a file, where ``/`` becomes ``~``."""
    return _UNSAFE.sub("_", key)[:_LONG_KEY].strip() or "_"


def _unique(key: str, item: _Item, index: int = 0) -> str:
    """Return what tells a file from others of its key, step and time: always the same."""
    identity = (key, item.place.path.name, item.place.offset, item.value, index)
    return str(uuid.uuid5(_NAMESPACE, repr(identity)))


def _file(path: str, data: bytes) -> ForeignFile:
    def opened() -> BinaryIO:
        return io.BytesIO(data)

    return ForeignFile(path, opened, len(data))


def _preview(data: bytes) -> bytes | None:
    """Return an image scaled down; None where that cannot be: the image itself is there."""
    from importlib.util import find_spec

    if find_spec("PIL") is None:
        return None
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > _PIXELS:
                return None
            return encode_preview(image.convert("RGBA"))
    except (OSError, ValueError, NbtrackError, Image.DecompressionBombError):
        return None
