"""The kernel's side of the conversation with a view, with a stand-in for the page."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from nbtrack.datasource import DataSource
from nbtrack.tracking import Client
from nbtrack.widgets import transport
from nbtrack.widgets.transport import Transport


class Page:
    """Keeps what it was sent, and what the view said of its state."""

    def __init__(self, client: Client) -> None:
        self.sent: list[tuple[Any, list[bytes]]] = []
        self.states: list[Mapping[str, Any]] = []
        self.transport = Transport(DataSource(client), self._receive, self.states.append)

    def _receive(self, content: Any, buffers: list[bytes] | None = None) -> None:
        json.dumps(content, allow_nan=False)
        self.sent.append((content, buffers or []))

    def ask(self, operation: str, **params: Any) -> Any:
        self.transport.receive({"id": "7", "op": operation, "params": params})
        content, _ = self.sent[-1]
        assert content["id"] == "7"
        return content


@pytest.fixture
def page(client: Client) -> Page:
    return Page(client)


def test_an_answer_has_the_id_of_its_question(page: Page, client: Client) -> None:
    with client.start_run("mine") as run:
        run.log_metric("m", float("nan"))
    answer = page.ask("runs.search")
    assert answer["ok"] is True
    assert answer["result"]["runs"][0]["metrics"]["m"]["last"] == "NaN"


@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        ("runs.destroy", {}, "There is no operation 'runs.destroy'"),
        ("runs.details", {"run_id": "nosuch"}, "There is no run 'nosuch'"),
        ("runs.details", {"nonsense": 1}, "was called wrongly"),
        ("models.register", {"run_id": "nosuch", "name": "a"}, "There is no run 'nosuch'"),
        ("bundle", {"name": "../../secret"}, "There is no bundle"),
    ],
)
def test_an_error_is_an_answer_with_a_hint(
    page: Page, client: Client, operation: str, params: dict[str, Any], message: str
) -> None:
    client.start_run("mine").end()
    answer = page.ask(operation, **params)
    assert answer["ok"] is False
    assert message in answer["error"]["message"]
    assert set(answer["error"]) == {"message", "hint"}


@pytest.mark.parametrize("content", [None, "x", [], {}, {"id": 3}, {"op": "runs.search"}])
def test_what_is_no_question_gets_no_answer(page: Page, content: Any) -> None:
    page.transport.receive(content)
    assert page.sent == []


def test_params_that_are_no_object(page: Page) -> None:
    page.transport.receive({"id": "7", "op": "runs.search", "params": [1]})
    assert page.sent[-1][0]["error"]["message"] == "The params of a request must be an object."


def test_the_state_is_handed_on(page: Page) -> None:
    assert page.ask("state", selected=["a"])["result"] is None
    assert page.states == [{"selected": ["a"]}]


def test_a_bundle_is_sent_compressed(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "read_bundle", lambda name: f"// {name}")
    transport._bundle.cache_clear()
    try:
        assert page.ask("bundle", name="plotly")["result"] == {"encoding": "gzip"}
        assert gzip.decompress(page.sent[-1][1][0]) == b"// plotly.js"
    finally:
        transport._bundle.cache_clear()


def test_changes_are_pushed_at_once_and_then_seldom(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_PUSH_EVERY_S", 0.3)
    for _ in range(100):
        page.transport.push_changed()
    assert page.sent == [({"event": "changed"}, [])]
    deadline = time.monotonic() + 5
    while len(page.sent) < 2:  # the last change is told, too
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.4)
    assert len(page.sent) == 2
