"""The HTTP client: tries again, gives up, and says what is wrong without saying who we are."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import pytest

from nbtrack.errors import (
    AlreadyExistsError,
    InvalidParameterError,
    NbtrackError,
    NotFoundError,
)
from nbtrack.testing.fake_server import FakeServer, RefusedError, running
from nbtrack.wire import Address, Http, ServerError
from nbtrack.wire import http as module


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running() as server:
        yield server


@pytest.fixture
def http(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Http:
    monkeypatch.setattr(module, "_BACKOFF_S", 0.001)
    return Http(Address(server.address))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_again(http: Http, server: FakeServer, status: int) -> None:
    server.faults["experiments/get"] = [status] * 3
    assert http.call("GET", "experiments/get")["experiment"]["name"] == "Default"
    assert len(server.requests) == 4
    server.faults["experiments/get"] = [status] * 9
    with pytest.raises(ServerError, match=str(status)) as caught:
        http.call("GET", "experiments/get", retries=1)
    assert caught.value.status == status


def test_what_must_not_be_done_twice_is_asked_once(http: Http, server: FakeServer) -> None:
    server.faults["runs/create"] = [503]
    with pytest.raises(ServerError):
        http.call("POST", "runs/create", {}, retries=0)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "RESOURCE_DOES_NOT_EXIST", NotFoundError),
        (400, "RESOURCE_ALREADY_EXISTS", AlreadyExistsError),
        (400, "INVALID_PARAMETER_VALUE", InvalidParameterError),
        (401, "UNAUTHENTICATED", ServerError),
        (403, "PERMISSION_DENIED", ServerError),
        (501, "NOT_IMPLEMENTED", ServerError),
    ],
)
def test_errors_are_ours(
    http: Http, server: FakeServer, status: int, code: str, kind: type[NbtrackError]
) -> None:
    def refuse(_route: str, _body: object) -> None:
        raise RefusedError(status, code, "because")

    server.refuse = refuse
    with pytest.raises(kind):
        http.call("GET", "runs/get")


def test_a_page_that_is_no_server_of_mlflows(http: Http, server: FakeServer) -> None:
    server.faults["runs/get"] = [404, 200]
    for _ in range(2):
        with pytest.raises(ServerError, match="does not answer as a tracking server does") as got:
            http.call("GET", "runs/get")
        assert got.value.hint


def test_who_we_are_is_sent_and_not_said(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = Http(Address(server.address, "me", "s3cret"))
    http.call("GET", "experiments/get")
    assert server.headers["Authorization"] == "Basic bWU6czNjcmV0"
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    other = Http(Address(server.address))
    other.call("GET", "experiments/get")
    assert server.headers["Authorization"] == "Bearer t0ken"
    server.stop()
    for one in (http, other):
        with pytest.raises(ServerError, match="nothing answers there") as caught:
            one.call("GET", "experiments/get", retries=0)
        assert not {"s3cret", "t0ken", "bWU6"} & set(str(caught.value).split())
        assert "s3cret" not in f"{one!r}{vars(one)}"


def test_a_server_that_is_slow(http: Http, server: FakeServer) -> None:
    def refuse(_route: str, _body: object) -> None:
        time.sleep(0.5)

    server.refuse = refuse
    with pytest.raises(ServerError, match="did not answer in time"):
        http.call("GET", "experiments/get", timeout=0.05, retries=0)


def test_files_go_up_and_down_as_they_are(http: Http, server: FakeServer) -> None:
    data = bytes(range(256)) * 10_000
    for content in (data, io.BytesIO(data)):
        http.upload("1/a b/ä%.bin", content)
        assert server.files["1/a b/ä%.bin"] == data
        server.files["1/a b/ä%.bin"] = b"" if content is data else data
    target = io.BytesIO()
    http.download("1/a b/ä%.bin", target)
    assert target.getvalue() == data


def test_numbers_that_json_does_not_know_are_never_sent(http: Http) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        http.call("POST", "runs/log-batch", {"value": float("nan")})


def test_an_answer_without_what_is_wanted(http: Http) -> None:
    with pytest.raises(ServerError, match="does not answer as a tracking server does"):
        http.call("GET", "experiments/get", wants="run")
