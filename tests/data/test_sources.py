"""Where data came from: how it is written, read, resolved and loaded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbtrack import data
from nbtrack.data.download import file_name
from nbtrack.data.sources import REMOTE, source_from_json
from nbtrack.errors import InvalidParameterError, NbtrackError, NotFoundError, StoreError

SOURCES = [
    data.LocalDatasetSource("a b.csv"),
    data.RemoteDatasetSource("s3://bucket/a.csv"),
    data.HTTPDatasetSource("https://example.org/a.csv"),
    data.CodeDatasetSource({"mlflow.user": "me"}),
    data.DeltaDatasetSource(path="lake/wine", delta_table_version=3),
    data.HuggingFaceDatasetSource("me/wine", split="train"),
]


@pytest.mark.parametrize("source", SOURCES, ids=repr)
def test_a_source_comes_back_from_its_json(source: data.DatasetSource) -> None:
    again = source_from_json(source.to_json(), source.source_type)
    assert again == source
    assert hash(again) == hash(source)
    assert type(again) is type(source)


@pytest.mark.parametrize(
    ("raw", "kind", "source_type"),
    [
        ("data/wine.csv", data.LocalDatasetSource, "local"),
        (Path("data/wine.csv"), data.LocalDatasetSource, "local"),
        (Path("odd:name.csv"), data.LocalDatasetSource, "local"),
        ("file:///data/wine.csv", data.LocalDatasetSource, "local"),
        (r"C:\data\wine.csv", data.LocalDatasetSource, "local"),
        ("HTTPS://example.org/x", data.HTTPDatasetSource, "http"),
        *((f"{scheme}://bucket/x", data.RemoteDatasetSource, scheme) for scheme in REMOTE),
    ],
)
def test_a_path_or_uri_tells_its_kind(raw: Any, kind: type, source_type: str) -> None:
    source = data.resolve_source(raw)
    assert type(source) is kind
    assert source.source_type == source_type


@pytest.mark.parametrize(
    ("text", "source_type"),
    [
        ("{}", "local"),
        ("[]", "local"),
        ("{", "http"),
        ('{"url": 3}', "http"),
        ('{"url": "file:///etc/passwd"}', "http"),
        ('{"url": "http://[::1"}', "http"),
        ("{}", "delta_table"),
        ("{}", "hugging_face"),
        ("{}", "unheard of"),
        ("[" * 100_000, "local"),
    ],
)
def test_what_is_no_source_is_refused(text: str, source_type: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        source_from_json(text, source_type)
    assert caught.value.hint


@pytest.mark.parametrize("source", SOURCES[1:5:2], ids=repr)
def test_what_cannot_be_loaded_says_so(source: data.DatasetSource) -> None:
    with pytest.raises(InvalidParameterError, match="cannot be loaded"):
        source.load()


def test_a_local_file_is_loaded_where_it_lies_or_copied(tmp_path: Path) -> None:
    file = tmp_path / "a b.csv"
    file.write_text("x")
    assert data.LocalDatasetSource(str(file)).load() == str(file)
    assert data.LocalDatasetSource(file.as_uri()).load() == str(file)
    copy = data.LocalDatasetSource(str(file)).load(tmp_path / "deep" / "er")
    assert Path(copy) == tmp_path / "deep" / "er" / "a b.csv"
    assert Path(copy).read_text() == "x"
    assert data.LocalDatasetSource(copy).load(tmp_path / "deep" / "er") == copy
    with pytest.raises(StoreError, match="cannot be copied"):
        data.LocalDatasetSource(str(file)).load(Path(copy) / "below a file")
    folder = data.LocalDatasetSource(str(tmp_path / "deep")).load(tmp_path / "other")
    assert (Path(folder) / "er" / "a b.csv").is_file()
    with pytest.raises(NotFoundError, match="no file"):
        data.LocalDatasetSource(str(tmp_path / "gone")).load()
    with pytest.raises(InvalidParameterError, match="no file of this machine"):
        data.LocalDatasetSource("file://far/away.csv").load()


class Server(BaseHTTPRequestHandler):
    """Answers by the path: a file, one with a bad name, half of one, none."""

    def do_GET(self) -> None:
        if self.path == "/gone":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path == "/named":
            self.send_header("Content-Disposition", 'attachment; filename="../../evil.csv"')
        self.send_header("Content-Length", "100" if self.path == "/half" else "4")
        self.end_headers()
        self.wfile.write(b"data")

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("path", "name"),
    [("/wine%20red.csv?x=1", "wine red.csv"), ("/", "dataset_source"), ("/named", "evil.csv")],
)
def test_a_file_is_downloaded(web: str, tmp_path: Path, path: str, name: str) -> None:
    target = data.HTTPDatasetSource(web + path).load(tmp_path / "new")
    assert Path(target) == tmp_path / "new" / name
    assert Path(target).read_bytes() == b"data"
    assert list((tmp_path / "new").iterdir()) == [Path(target)]


@pytest.mark.parametrize("path", ["/gone", "/half"])
def test_a_file_that_does_not_come_is_told(web: str, tmp_path: Path, path: str) -> None:
    with pytest.raises(StoreError, match="cannot be downloaded"):
        data.HTTPDatasetSource(web + path).load(tmp_path)
    assert list(tmp_path.iterdir()) == []


odd = st.text(st.sampled_from("/\\.:% ~\0\"';=\n\ud83d") | st.characters(), max_size=12)


@settings(max_examples=1000)
@given(disposition=st.none() | odd.map(lambda name: f"attachment; filename={name}"), path=odd)
def test_a_downloaded_file_never_has_a_path(disposition: str | None, path: str) -> None:
    name = file_name(disposition, f"http://x/{path}")
    assert name.strip(". ")
    assert not set(name) & set("/\\\0")


@given(
    text=st.sampled_from(["", "file://", "http://", "https://[", "s3://"]).flatmap(
        lambda start: odd.map(lambda rest: start + rest)
    )
)
def test_every_text_is_a_source_or_refused(text: str) -> None:
    try:
        source = data.resolve_source(text)
    except NbtrackError:
        return
    assert source_from_json(source.to_json(), source.source_type) == source
