"""TensorBoard's event files, as TensorFlow 1 and 2 and PyTorch write them."""

from __future__ import annotations

import io
import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

from nbtrack.transfer.imports import event_files
from nbtrack.transfer.imports.base import ForeignRun
from nbtrack.transfer.imports.tensorboard import TensorBoardArchive, is_tensorboard
from nbtrack.types import RunStatus

START = 1_700_000_000.0
NAME = "events.out.tfevents.1700000000.host.1.0"


def summary(step: int, *values: Summary.Value, time: float | None = None) -> Event:
    when = START + step if time is None else time
    return Event(wall_time=when, step=step, summary=Summary(value=values))


def scalar(key: str, value: float) -> Summary.Value:
    return Summary.Value(tag=key, simple_value=value)


def tensor(key: str, value: Any, plugin: str, content: bytes = b"") -> Summary.Value:
    data = SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    made = tensor_util.make_tensor_proto(value)
    return Summary.Value(tag=key, tensor=made, metadata=SummaryMetadata(plugin_data=data))


def image(key: str, data: bytes) -> Summary.Value:
    return Summary.Value(tag=key, image=Summary.Image(height=4, width=8, encoded_image_string=data))


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 4), "red").save(file, "png")
    return file.getvalue()


def begin() -> Event:
    return Event(wall_time=START, file_version="brain.Event:2")


def write(path: Path, *events: Event) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
    return path


def read(root: Path, problems: list[str] | None = None) -> list[ForeignRun]:
    archive = TensorBoardArchive(root)
    runs = list(archive.runs())
    for run in runs:
        list(run.series())  # what is no number is told there
    assert len(runs) <= archive.run_count()
    assert problems is not None or archive.problems == []
    if problems is not None:
        problems += archive.problems
    return runs


def points(run: ForeignRun) -> dict[str, list[tuple[int, int, float]]]:
    found: dict[str, list[tuple[int, int, float]]] = {}
    for part in run.series():
        assert part.steps.dtype == part.timestamps.dtype == np.int64
        columns = (part.steps.tolist(), part.timestamps.tolist(), part.values.tolist())
        found.setdefault(part.key, []).extend(zip(*columns, strict=True))
    return found


def files(run: ForeignRun) -> dict[str, bytes]:
    return {file.path: file.open().read() for file in run.files()}


def test_each_folder_with_event_files_is_a_run(tmp_path: Path) -> None:
    for folder in (".", "train", "a/deep/one"):
        write(tmp_path / "logs" / folder / NAME, begin(), summary(1, scalar("loss", 0.5)))
    (tmp_path / "logs" / "empty").mkdir()
    (tmp_path / "logs" / "other.txt").write_text("no events")
    (tmp_path / "logs" / f"{NAME}.profile-empty").write_text("")
    archive = TensorBoardArchive(tmp_path / "logs")
    assert archive.run_count() == 3
    runs = list(archive.runs())
    assert [run.run_name for run in runs] == ["logs", "a/deep/one", "train"]
    assert {run.experiment for run in runs} == {"logs"} == {e.name for e in archive.experiments()}
    assert len({run.run_id for run in runs}) == 3
    assert all(len(run.run_id) == 32 for run in runs)
    assert runs[2].tags == {"nbtrack.import.source": "tensorboard:train"}
    assert [e.name for e in TensorBoardArchive(tmp_path, experiment_name="x").experiments()] == [
        "x"
    ]
    assert is_tensorboard(tmp_path)
    assert not is_tensorboard(tmp_path / "logs" / "empty")
    assert not is_tensorboard(tmp_path / "logs" / NAME)
    # A moved folder is the same runs.
    (tmp_path / "logs").rename(tmp_path / "moved")
    assert [run.run_id for run in read(tmp_path / "moved")] == [run.run_id for run in runs]


def test_scalars_of_all_writers(tmp_path: Path) -> None:
    write(
        tmp_path / NAME,
        begin(),
        summary(0, scalar("tf1", 0.5), tensor("tf2", np.float32(1.5), "scalars")),
        # Only the first value of a key says what it is.
        summary(1, Summary.Value(tag="tf2", tensor=tensor_util.make_tensor_proto(2.5))),
        summary(2, scalar("tf1", math.nan), scalar("tf1", math.inf), scalar("a b/ü", -1.0)),
        summary(-3, tensor("int", np.int64(2**40), "scalars"), time=START + 1.0016),
        summary(2**62, tensor("half", np.float16(0.25), "scalars"), time=START - 5),
    )
    (run,) = read(tmp_path)
    ms = int(START * 1000)
    found = points(run)
    assert repr(found.pop("tf1")) == repr(
        [(0, ms, 0.5), (2, ms + 2000, math.nan), (2, ms + 2000, math.inf)]
    )
    assert found == {
        "tf2": [(0, ms, 1.5), (1, ms + 1000, 2.5)],
        "a b/ü": [(2, ms + 2000, -1.0)],
        "int": [(-3, ms + 1002, 2.0**40)],
        "half": [(2**62, ms - 5000, 0.25)],
    }
    assert (run.start_time, run.end_time, run.status) == (ms, ms + 2000, RunStatus.FINISHED)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b/c", "\N{SNOWMAN}"]),
            st.floats(width=32),
            st.integers(0, 2**40),
            st.floats(0, 2e9),
        ),
        max_size=30,
    )
)
def test_what_tensorboard_itself_reads(
    tmp_path_factory: pytest.TempPathFactory, logged: list[tuple[str, float, int, float]]
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    write(
        folder / NAME,
        begin(),
        *(summary(step, scalar(key, value), time=when) for key, value, step, when in logged),
    )
    theirs = EventAccumulator(str(folder), {"scalars": 0}, purge_orphaned_data=False).Reload()
    (run,) = read(folder)
    ours = points(run)
    assert set(ours) == set(theirs.Tags()["scalars"])
    for key, found in ours.items():
        expected = [(e.step, round(e.wall_time * 1000), e.value) for e in theirs.Scalars(key)]
        assert repr(found) == repr(expected)


def test_many_points_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbtrack.transfer.imports.tensorboard._POINTS", 50)
    write(tmp_path / NAME, *(summary(i, scalar("a", i), scalar("b", -i)) for i in range(220)))
    (run,) = read(tmp_path)
    parts = list(run.series())
    assert max(len(part.values) for part in parts) == 25
    assert [step for step, _, _ in points(run)["b"]] == list(range(220))


def test_hyperparameters(tmp_path: Path) -> None:
    start = SessionStartInfo()
    for key, value in {"lr": 0.1, "layers": 3.0, "huge": 1e300}.items():
        start.hparams[key].number_value = value
    start.hparams["opt"].string_value = "adam"
    start.hparams["bias"].bool_value = True
    experiment = api_pb2.Experiment()
    experiment.metric_infos.add().name.tag = "acc"
    end = SessionEndInfo(status=api_pb2.STATUS_FAILURE)

    def record(key: str, **content: Any) -> Summary.Value:
        data = HParamsPluginData(**content)
        return Summary.Value(tag=key, metadata=hparams.create_summary_metadata(data))

    write(
        tmp_path / NAME,
        begin(),
        summary(0, record(hparams.EXPERIMENT_TAG, experiment=experiment)),
        summary(0, record(hparams.SESSION_START_INFO_TAG, session_start_info=start)),
        summary(0, scalar("acc", 0.5)),
        summary(0, record(hparams.SESSION_END_INFO_TAG, session_end_info=end)),
    )
    (run,) = read(tmp_path)
    assert run.params == {
        "lr": "0.1",
        "layers": "3",
        "huge": "1e+300",
        "opt": "adam",
        "bias": "True",
    }
    assert run.tags["tensorboard.metrics"] == "acc"
    assert run.status == RunStatus.FAILED


def test_texts(tmp_path: Path) -> None:
    write(
        tmp_path / NAME,
        begin(),
        summary(0, tensor("note/text_summary", b"short \xe2\x98\x83", "text")),
        summary(0, tensor("long", b"x" * 501, "text"), tensor("lines", [b"a", b"b"], "text")),
        summary(0, tensor("mlflow.runName", b"not a name", "text")),
        *(summary(i, tensor("epoch/report", f"of {i}".encode(), "text")) for i in range(2)),
    )
    (run,) = read(tmp_path)
    assert run.tags.pop("nbtrack.import.source")  # type: ignore[attr-defined]
    assert run.tags == {"note": "short \N{SNOWMAN}", "lines": "a\nb"}
    found = files(run)
    assert {path.rpartition("+")[0]: data for path, data in found.items()} == {
        "texts/long+step+0": b"x" * 501,
        "texts/mlflow.runName+step+0": b"not a name",
        "texts/epoch~report+step+0": b"of 0",
        "texts/epoch~report+step+1": b"of 1",
    }
    assert files(read(tmp_path)[0]) == found


def test_images(tmp_path: Path) -> None:
    data = png()
    write(
        tmp_path / NAME,
        begin(),
        summary(3, image("dogs/val", data), image("odd: <key>", b"GIF89a, or nearly so")),
        summary(4, tensor("two", [b"8", b"4", data, data], "images")),
        summary(5, image("none", b"no image")),
    )
    problems: list[str] = []
    (run,) = read(tmp_path, problems)
    archive = TensorBoardArchive(tmp_path)
    (run,) = archive.runs()
    found = files(run)
    assert "'none' of step 5 is none" in archive.problems[0]
    ms = int(START * 1000)
    names = [path.rpartition("+")[0] for path in found if "compressed" not in path]
    assert names == [
        f"images/dogs~val+step+3+timestamp+{ms + 3000}",
        f"images/odd_ _key_+step+3+timestamp+{ms + 3000}",
        *[f"images/two+step+4+timestamp+{ms + 4000}"] * 2,
        f"images/none+step+5+timestamp+{ms + 5000}",
    ]
    first, preview, *_ = found.items()
    assert first[1] == data
    assert preview[0] == first[0].removesuffix(".png") + "+compressed.webp"
    assert preview[1][8:12] == b"WEBP"
    assert sum("compressed" in path for path in found) == 3
    assert sorted({path.rpartition(".")[2] for path in found}) == ["bin", "gif", "png", "webp"]


def test_what_is_not_kept_is_told_once(tmp_path: Path) -> None:
    for folder in "ab":
        write(
            tmp_path / folder / NAME,
            begin(),
            Event(wall_time=START, graph_def=GraphDef().SerializeToString()),
            summary(0, Summary.Value(tag="h", histo=HistogramProto(num=1))),
            summary(1, tensor("h2", [1.0, 2.0], "histograms"), tensor("c", [0.0], "pr_curves")),
            summary(1, Summary.Value(tag="snd", audio=Summary.Audio(sample_rate=1))),
            summary(1, scalar("loss", 1.0)),
        )
    problems: list[str] = []
    assert [set(points(run)) for run in read(tmp_path, problems)] == [{"loss"}, {"loss"}]
    assert problems == [
        f"Not imported from the TensorBoard folder {tmp_path}: 2 audio, 2 graphs, 4 histograms, "
        "2 precision-recall curves."
    ]


def test_a_run_that_goes_on_and_was_restarted(tmp_path: Path) -> None:
    start = SessionLog(status=SessionLog.START)
    write(tmp_path / NAME, begin(), *(summary(i, scalar("loss", i)) for i in range(10)))
    (early,) = read(tmp_path)
    second = tmp_path / NAME.replace("1700000000", "1700000500")
    write(
        second,
        begin(),
        Event(wall_time=START + 500, step=6, session_log=start),
        *(summary(i, scalar("loss", -i), time=START + 500 + i) for i in range(6, 12)),
    )
    (late,) = read(tmp_path)
    assert late.run_id == early.run_id
    assert late.tags["tensorboard.restarts"] == "1"
    before, after = points(early)["loss"], points(late)["loss"]
    assert after[: len(before)] == before  # also what TensorBoard hides: it was logged
    assert [value for _, _, value in after[10:]] == [-6.0, -7, -8, -9, -10, -11]
    assert late.end_time == int((START + 511) * 1000)


@pytest.mark.parametrize("cut", [1, 5, 13, 20])
def test_a_file_that_ends_within_a_record(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / NAME, begin(), *(summary(i, scalar("loss", i)) for i in range(5)))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    problems: list[str] = []
    (early,) = read(tmp_path, problems)
    assert "ends within a record" in problems[0]
    assert len(problems) == 1
    assert [step for step, _, _ in points(early)["loss"]] == [0, 1, 2, 3]
    path.write_bytes(whole)
    (late,) = read(tmp_path)
    assert late.run_id == early.run_id
    assert [step for step, _, _ in points(late)["loss"]] == [0, 1, 2, 3, 4]
    # It goes on while it is read: what was seen first counts.
    write(path, summary(5, scalar("loss", 5)))
    assert [step for step, _, _ in points(late)["loss"]] == [0, 1, 2, 3, 4]


def test_damaged_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a" / NAME, begin(), *(summary(i, scalar("a", i)) for i in range(9)))
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / NAME).write_bytes(b"nothing of the kind" * 9)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / NAME).write_bytes(b"")
    with (tmp_path / "c" / f"{NAME}.2").open("wb") as file:
        RecordWriter(file).write(b"\xff\xff\xff no message")
    problems: list[str] = []
    (run,) = read(tmp_path, problems)
    assert len(points(run)["a"]) == 8
    told = "\n".join(problems)
    assert told.count("is damaged at byte") == 2
    assert "is no Event" in told
    assert "The folder 'b' has no event that can be read." in told
    assert "The folder 'c' has no event that can be read." in told


def test_hostile_records(tmp_path: Path) -> None:
    bomb = tensor("bomb", 1.0, "scalars")
    bomb.tensor.tensor_shape.dim.add().size = 2**60
    odd = tensor("odd", "text", "scalars")
    write(
        tmp_path / NAME,
        Event(wall_time=math.nan, file_version="brain.Event:2"),
        summary(0, bomb, odd, scalar("", 1.0), scalar("fine", 2.0), time=-1e300),
        summary(0, tensor("../../x", b"text", "text"), tensor("../../x", b"more", "text")),
        summary(0, image("/etc/passwd", png())),
        summary(1, tensor("hp", [0.0], "hparams", b"\xff\xff")),
        summary(1, tensor("p", [0.0], "a plugin" * 99), scalar("fine", 3.0), time=math.inf),
    )
    # A record that claims to be longer than the file is not waited for, nor given room.
    length = struct.pack("<Q", 2**62)
    checksum = event_files.tensorboard("compat.tensorflow_stub.pywrap_tensorflow").masked_crc32c
    with (tmp_path / NAME).open("ab") as file:
        file.write(length + struct.pack("<I", checksum(length)) + b"\0" * 99)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / f"{NAME}.fifo")
    problems: list[str] = []
    (run,) = read(tmp_path, problems)
    assert {key: [v for _, _, v in found] for key, found in points(run).items()} == {
        "unnamed": [1.0],
        "fine": [2.0, 3.0],
    }
    assert run.start_time == 0
    assert all(".." not in path.split("/") and path[0] != "/" for path in files(run))
    assert len(files(run)) == 4
    told = "\n".join(problems)
    for part in ("'bomb' is no number", "'odd' is no number", "ends within a record", "1 records"):
        assert part in told
    assert len(told) < 2000


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbtrack.errors import MissingPackageError

    for module in ("tensorboard.compat.proto.event_pb2", "tensorboard"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingPackageError, match="needs the package") as caught:
        TensorBoardArchive(tmp_path)
    assert caught.value.hint == "pip install nbtrack[tensorboard]"
