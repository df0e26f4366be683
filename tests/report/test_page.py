"""The report: one file, no request, its data readable whatever names hold."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from nbtrack import bundles
from nbtrack.errors import InvalidParameterError, NbtrackError, NotFoundError
from nbtrack.media import Plot
from nbtrack.report import page, write_report
from nbtrack.tracking import Client

SCRIPT = "document.body.append('ready {x}')"
HOSTILE = "</script><script>alert(1)</script><!-- <b>\"'&\u2028\ud83d"
SHOWN = HOSTILE.replace("\ud83d", "?")


class Parser(HTMLParser):
    """Takes a page apart: each script with its attributes, all tags with theirs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.comments: list[str] = []
        self.texts: list[str] = []
        self._script: dict[str, str | None] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self._script = dict(attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts.append((self._script, data))
        else:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


@pytest.fixture(autouse=True)
def script(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Stand in for the built bundle, which the tests do not need to have."""
    text: str = getattr(request, "param", SCRIPT)
    package = tmp_path / "package"
    (package / "static").mkdir(parents=True)
    (package / "static" / "report.js").write_bytes(text.encode())
    monkeypatch.setattr(bundles, "files", lambda _: package)
    monkeypatch.setattr(page, "__version__", "1.2.3")
    return text


@pytest.fixture
def filled(client: Client) -> Client:
    with client.start_run(HOSTILE, tags={HOSTILE: HOSTILE}) as run:
        run.log_params({HOSTILE: HOSTILE})
        for step in range(3):
            run.log_metrics({HOSTILE: step * 1.0, "nan": float("nan")}, step)
        run.log_metric("once", float("inf"))
        run.log_input([1, 2], HOSTILE)
        run.log_model({"any": "object"}, "sklearn")
    client.register_model(run.run_id, "iris")
    with client.start_run("plain"):
        pass
    return client


@pytest.fixture
def written(filled: Client, tmp_path: Path) -> str:
    target = write_report(tmp_path / "report.html", title=HOSTILE, client=filled)
    return target.read_text("utf-8")


def data_of(text: str) -> Any:
    (block,) = [body for attrs, body in Parser(text).scripts if "type" in attrs]
    return json.loads(block)


def test_the_data_comes_back(written: str, filled: Client) -> None:
    data = data_of(written)
    assert data["nbtrack_version"] == "1.2.3"
    assert data["database"] == "nbtrack.db"
    plain, run = data["runs"]["runs"]
    assert (plain["run_name"], run["run_name"]) == ("plain", SHOWN)
    assert run["params"] == {SHOWN: SHOWN}
    assert run["metrics"]["once"]["last"] == "Infinity"
    assert {series["key"] for series in data["histories"]} == {SHOWN, "nan"}
    detail = data["details"][run["run_id"]]
    assert detail["inputs"][0]["name"] == SHOWN
    assert "run" not in detail
    assert data["models"][0]["name"] == "iris"
    assert set(data["details"]) == {plain["run_id"], run["run_id"]}


def test_names_do_not_break_out(written: str) -> None:
    parsed = Parser(written)
    assert len(parsed.scripts) == 2
    assert [attrs for attrs, _ in parsed.scripts] == [
        {"type": "application/json", "id": "nbtrack-data"},
        {},
    ]
    assert parsed.comments == []
    assert "b" not in [tag for tag, _ in parsed.tags]


def test_nothing_is_fetched(written: str) -> None:
    for tag, attrs in Parser(written).tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert not {"src", "href", "srcset", "action"} & set(attrs)
    assert "@import" not in written


def policy_of(text: str) -> str:
    (policy,) = [
        attrs["content"]
        for tag, attrs in Parser(text).tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    return policy


@pytest.mark.parametrize(
    "script",
    [
        SCRIPT,
        "a\r\nb\rc\n",
        "'</script>' + '</SCRIPT >' + '<!-- ' + '<script>'",
        "naïve 😀 {braces}",
    ],
    indirect=True,
)
def test_the_policy_allows_the_script_and_nothing_else(written: str) -> None:
    parsed = Parser(written)
    (script,) = [body for attrs, body in parsed.scripts if "type" not in attrs]
    assert "\r" not in written
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = dict(part.strip().split(" ", 1) for part in policy_of(written).split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'sha256-{digest}'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert written.index("Content-Security-Policy") < written.index("<title>")


@pytest.mark.parametrize("script", ["'</ScRiPt>' + '<!--'"], indirect=True)
def test_a_script_cannot_end_its_element(written: str) -> None:
    assert len(re.findall("</script", written, re.IGNORECASE)) == 2
    assert r"'<\/ScRiPt>' + '<\!--'" in written


def test_without_scripts_there_is_a_table(written: str) -> None:
    static = written.split("<noscript>")[1].split("</noscript>", maxsplit=1)[0]
    parsed = Parser(static)
    assert {tag for tag, _ in parsed.tags} <= {
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "span",
    }
    text = " ".join(parsed.texts)
    for word in ("plain", "</script><script>alert(1)</script>", "∞", "NaN", "Charts need"):
        assert word in text


def test_some_runs_only(filled: Client, tmp_path: Path) -> None:
    target = write_report(tmp_path / "report.html", runs=["plain"], client=filled)
    data = data_of(target.read_text("utf-8"))
    assert [run["run_name"] for run in data["runs"]["runs"]] == ["plain"]
    assert data["histories"] == []
    assert data["title"] == filled.path.parent.name
    nothing = write_report(tmp_path / "report.html", runs=[], client=filled)
    assert data_of(nothing.read_text("utf-8"))["runs"]["runs"] == []


def test_sources_of_cells_are_kept_once() -> None:
    class Source:
        def run_details(self, run_id: str) -> dict[str, Any]:
            return {"run": {}, "cell": None if run_id == "3" else {"source": "fit()"}}

    details, sources = page._details(Source(), [{"run_id": str(i)} for i in range(4)])  # type: ignore[arg-type]
    assert sources == {"0": "fit()"}
    cells = [details[str(i)]["cell"] for i in range(4)]
    assert cells == [{"source_ref": "0"}] * 3 + [None]


def test_an_empty_database(client: Client, tmp_path: Path) -> None:
    target = write_report(tmp_path / "report.html", client=client)
    assert data_of(target.read_text("utf-8"))["runs"] == {"runs": []}


# -- where it is written


def test_places(filled: Client, workdir: Path) -> None:
    assert write_report("x.html", client=filled) == workdir / "x.html"
    folder = workdir / "folder"
    folder.mkdir()
    assert write_report(folder, client=filled) == folder / "nbtrack-report.html"
    (workdir / "x.html").write_text("old")
    write_report("x.html", client=filled)
    assert (workdir / "x.html").read_text("utf-8").startswith("<!doctype html>")
    assert not [file for file in workdir.rglob(".*") if file.is_file()]


def test_a_folder_whose_name_is_no_utf8(tmp_path: Path) -> None:
    folder = tmp_path / "na\udcffve"
    folder.mkdir()
    client = Client(folder / "nbtrack.db")
    client.start_run("r")
    target = write_report(folder / "x.html", client=client)
    client.workspace.writer.close()
    assert "<title>na?ve</title>" in target.read_text("utf-8")


def test_a_folder_that_is_not_there(filled: Client, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="there is no folder") as caught:
        write_report(tmp_path / "no" / "x.html", client=filled)
    assert caught.value.hint == f"Make it: mkdir -p {tmp_path / 'no'}"


def test_a_file_that_cannot_be_written(
    filled: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x.html"
    target.write_text("old")

    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(
        InvalidParameterError, match=r"cannot be written: No space left on device\."
    ) as caught:
        write_report(target, client=filled)
    assert caught.value.hint == "Give another path."
    assert target.read_text() == "old"
    assert list(tmp_path.glob(".x.html*")) == []


def test_a_run_that_is_not_there(filled: Client, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no run 'unknown'"):
        write_report(tmp_path / "x.html", runs=["unknown"], client=filled)
    assert not (tmp_path / "x.html").exists()


def test_a_front_end_that_was_not_built(
    filled: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "files", lambda _: tmp_path)
    with pytest.raises(NbtrackError, match=r"was not built \(report\.js is missing\)") as caught:
        write_report(tmp_path / "x.html", client=filled)
    assert "pip install" in (caught.value.hint or "")
    assert not (tmp_path / "x.html").exists()


def test_curves_that_are_left_out_are_said(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_script", lambda: "")
    monkeypatch.setattr(page, "_MAX_SERIES", 2)
    for name in ("old", "new"):
        with client.start_run(name) as run:
            for key in ("a", "b"):
                run.log_metric(key, 1, 0)
                run.log_metric(key, 2, 1)
    content = page._content(client, page.DataSource(client), None, "t")
    assert content["notes"] == [
        "Curves are kept of the newest runs only: 2 more are in the database."
    ]
    assert {series["run_id"] for series in content["histories"]} == {run.run_id}
    monkeypatch.setattr(page, "_MAX_SERIES", 4)
    assert page._content(client, page.DataSource(client), None, "t")["notes"] == []


def test_pictures_that_are_left_out_are_said(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_script", lambda: "")
    for name in ("without", "old", "new"):
        with client.start_run(name) as run:
            if name != "without":
                run.log_plot(Plot("folds", "folds", {"fold": [0, 1]}))
    content = page._content(client, page.DataSource(client), None, "t")
    assert content["notes"] == []
    assert len(content["plots"]) == 2
    monkeypatch.setattr(page, "_MAX_PLOTS", 100)
    content = page._content(client, page.DataSource(client), None, "t")
    assert list(content["plots"]) == [run.run_id]
    assert content["notes"] == [
        "Pictures are kept of the newest runs only; those of 1 other run are in the database."
    ]


def test_a_picture_that_is_damaged_stops_no_report(client: Client, tmp_path: Path) -> None:
    with client.start_run("a") as run:
        run.log_plot(Plot("folds", "folds", {"fold": [0, 1]}))
    client.flush()
    with closing(sqlite3.connect(client.path)) as conn, conn:
        conn.execute("UPDATE blobs SET encoding = 'odd'")
    assert client.get_plots(run.run_id) == {}
    assert write_report(tmp_path / "x.html", client=client).exists()
