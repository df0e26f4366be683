"""A small tracking server on loopback: it keeps what it is told, and fails as it is told to."""

from __future__ import annotations

import itertools
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

JSON = dict[str, Any]
_API = "/api/2.0/mlflow/"
_FILES = "/api/2.0/mlflow-artifacts/artifacts/"


class RefusedError(Exception):
    """An answer that is an error of the protocol."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client may go away before it has its answer."""


class FakeServer:
    """What it was asked, and how it answers.

    Attributes
    ----------
    requests
        Method, route and body of all that was asked.
    faults
        Statuses that the next requests of a route get instead of an answer.
    headers
        Of the last request.
    refuse
        Called with route and body before an answer; may raise `RefusedError`.
    extra_answers
        Answers of further routes.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, JSON]] = []
        self.faults: defaultdict[str, list[int]] = defaultdict(list)
        self.headers: dict[str, str] = {}
        self.runs: dict[str, JSON] = {}
        self.files: dict[str, bytes] = {}
        self.refuse: Callable[[str, JSON], None] = lambda route, body: None
        self.extra_answers: dict[str, Callable[[JSON], JSON]] = {}
        self.listing: list[JSON] = []  # what a folder of artifacts has
        self.lock = threading.Lock()
        self._ids = itertools.count(1)
        self._http: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """Where it is; the same after it was stopped and started."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Answer from now on."""
        self._http = _Server(("127.0.0.1", self.port), _handler(self))
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be away."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    def asked(self, route: str) -> list[JSON]:
        """Return the bodies of the requests to a route."""
        return [body for _, its_route, body in self.requests if its_route == route]

    def points(self, run_id: str) -> list[JSON]:
        """Return the points of metrics of a run, each once, in the order of their coming."""
        return list(self.runs[run_id]["metrics"].values())

    # -- answers

    def answer(self, method: str, route: str, body: JSON) -> JSON:
        """Return the JSON of an answer; raise `RefusedError` instead."""
        self.refuse(route, body)
        experiment = {"experiment_id": "1", "name": "Default"}
        answers: dict[str, Callable[[JSON], JSON]] = {
            "experiments/create": lambda _: {"experiment_id": "1"},
            "experiments/get": lambda _: {"experiment": experiment},
            "experiments/get-by-name": lambda _: {"experiment": experiment},
            "experiments/search": lambda _: {"experiments": [experiment]},
            "runs/create": self._create_run,
            "runs/get": lambda body: self._run(body["run_id"]),
            "runs/update": self._update_run,
            "runs/log-batch": self._log_batch,
            "runs/log-inputs": lambda _: {},
            _FILES.rstrip("/"): lambda _: {"files": self.listing},
            **self.extra_answers,
        }
        if route not in answers:
            raise RefusedError(404, "ENDPOINT_NOT_FOUND", f"{method} {route}")
        return answers[route](body)

    def _create_run(self, body: JSON) -> JSON:
        run_id = f"{next(self._ids):032x}"
        self.runs[run_id] = {"info": body, "params": {}, "tags": {}, "metrics": {}}
        return self._run(run_id)

    def _update_run(self, body: JSON) -> JSON:
        self._known(body["run_id"])["info"].update(body)
        return {}

    def _log_batch(self, body: JSON) -> JSON:
        run = self._known(body["run_id"])
        for item in body["params"]:
            if run["params"].get(item["key"], item["value"]) != item["value"]:
                raise RefusedError(400, "INVALID_PARAMETER_VALUE", "Changing param values")
        for name in ("params", "tags"):
            run[name].update({item["key"]: item["value"] for item in body[name]})
        for m in body["metrics"]:  # exact copies are dropped
            run["metrics"].setdefault((m["key"], m["step"], m["timestamp"], m["value"]), m)
        return {}

    def _known(self, run_id: str) -> JSON:
        if run_id not in self.runs:
            raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST", f"Run with id={run_id} not found")
        return self.runs[run_id]

    def _run(self, run_id: str) -> JSON:
        run = self._known(run_id)
        info = {
            "status": "RUNNING",
            **run["info"],
            "run_id": run_id,
            "artifact_uri": f"mlflow-artifacts:/1/{run_id}/artifacts",
        }
        data = {
            "params": [{"key": k, "value": v} for k, v in run["params"].items()],
            "tags": [{"key": k, "value": v} for k, v in run["tags"].items()],
            "metrics": list({m["key"]: m for m in run["metrics"].values()}.values()),
        }
        return {"run": {"info": info, "data": data}}


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815

        def _answer(self) -> None:
            if server._http is None:  # stopped: connections that are open end, too
                self.close_connection = True
                return
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            route = parts.path.removeprefix(_API)
            is_file = parts.path.startswith(_FILES)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            body = query if is_file or not data else {**query, **json.loads(data)}
            with server.lock:
                server.headers = dict(self.headers.items())
                server.requests.append((self.command, route, body))
                if server.faults[route]:
                    self._send(server.faults[route].pop(0), b"<html>no</html>")
                    return
                if is_file:
                    path = unquote(parts.path.removeprefix(_FILES))
                    if self.command == "PUT":
                        server.files[path] = data
                    self._send(200, server.files.get(path, b""))
                    return
                try:
                    found = server.answer(self.command, route, body)
                    self._send(200, json.dumps(found).encode())
                except RefusedError as error:
                    said = {"error_code": error.code, "message": str(error)}
                    self._send(error.status, json.dumps(said).encode())

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def running() -> Iterator[FakeServer]:
    """Start a server, and stop it."""
    server = FakeServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
