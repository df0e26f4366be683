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


class Refused(Exception):
    """An answer that is an error of the protocol."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


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
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, JSON]] = []
        self.faults: defaultdict[str, list[int]] = defaultdict(list)
        self.headers: dict[str, str] = {}
        self.runs: dict[str, JSON] = {}
        self.files: dict[str, bytes] = {}
        self.refuse: Callable[[str, JSON], None] = lambda route, body: None
        self.lock = threading.Lock()
        self._ids = itertools.count(1)
        self._http: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    def asked(self, route: str) -> list[JSON]:
        return [body for _, its_route, body in self.requests if its_route == route]

    def points(self, run_id: str) -> list[JSON]:
        return list(self.runs[run_id]["metrics"].values())

    # -- answers

    def answer(self, method: str, route: str, body: JSON) -> JSON:
        self.refuse(route, body)
        match route:
            case "experiments/create":
                return {"experiment_id": "1"}
            case "experiments/get" | "experiments/get-by-name":
                return {"experiment": {"experiment_id": "1", "name": "Default"}}
            case "experiments/search":
                return {"experiments": [{"experiment_id": "1", "name": "Default"}]}
            case "runs/create":
                run_id = f"{next(self._ids):032x}"
                self.runs[run_id] = {"info": body, "params": {}, "tags": {}, "metrics": {}}
                return self._run(run_id)
            case "runs/get":
                return self._run(body["run_id"])
            case "runs/update":
                self._known(body["run_id"])["info"].update(body)
                return {}
            case "runs/log-batch":
                run = self._known(body["run_id"])
                for item in body["params"]:
                    if run["params"].get(item["key"], item["value"]) != item["value"]:
                        raise Refused(400, "INVALID_PARAMETER_VALUE", "Changing param values")
                for name in ("params", "tags"):
                    run[name].update({item["key"]: item["value"] for item in body[name]})
                for m in body["metrics"]:  # exact copies are dropped
                    run["metrics"].setdefault((m["key"], m["step"], m["timestamp"], m["value"]), m)
                return {}
            case "runs/log-inputs":
                return {}
        raise Refused(404, "ENDPOINT_NOT_FOUND", f"{method} {route}")

    def _known(self, run_id: str) -> JSON:
        if run_id not in self.runs:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"Run with id={run_id} not found")
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
                except Refused as error:
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
