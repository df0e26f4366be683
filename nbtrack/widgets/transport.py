"""Kernel's side of the conversation with a view: requests with ids, answers, and pushes.

The page asks by custom messages, never by traits: those still arrive while a cell is busy, where
the kernel allows it, and a question can be told from its answer by its id.
"""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from nbtrack.bundles import read_bundle
from nbtrack.datasource import DataSource
from nbtrack.errors import InvalidParameterError, NbtrackError

Send = Callable[..., None]
_PUSH_EVERY_S = 2.0
_BUNDLES = ("plotly",)


class Transport:
    """Answers the requests of one view.

    Parameters
    ----------
    source
        Where answers come from.
    send
        Sends a message, and buffers, to the page.
    on_state
        Called with what the user did in the view (the selection).
    """

    def __init__(
        self, source: DataSource, send: Send, on_state: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._source = source
        self._send = send
        self._on_state = on_state
        self._lock = threading.Lock()
        self._pushed = 0.0
        self._timer: threading.Timer | None = None

    def receive(self, content: Any) -> None:
        """Answer one request of the page; what is no request is ignored."""
        if not isinstance(content, dict) or not isinstance(content.get("id"), str):
            return
        try:
            params = content.get("params") or {}
            if not isinstance(params, dict):
                raise InvalidParameterError("The params of a request must be an object.")
            result, buffers = self._answer(str(content.get("op")), params)
        except Exception as error:  # noqa: BLE001 - shown in the view, where the user looks
            reply = {"message": str(error), "hint": None}
            if isinstance(error, NbtrackError):
                reply = {"message": error.message, "hint": error.hint}
            self._send({"id": content["id"], "ok": False, "error": reply})
            return
        self._send({"id": content["id"], "ok": True, "result": result}, buffers)

    def push_changed(self) -> None:
        """Tell the page that runs or models changed: at once, then at most every two seconds."""
        with self._lock:
            if self._timer is not None:
                return
            wait = self._pushed + _PUSH_EVERY_S - time.monotonic()
            if wait > 0:
                self._timer = threading.Timer(wait, self._push)
                self._timer.daemon = True
                self._timer.start()
                return
        self._push()

    def _push(self) -> None:
        with self._lock:
            self._pushed = time.monotonic()
            self._timer = None
        self._send({"event": "changed"})

    def _answer(self, operation: str, params: dict[str, Any]) -> tuple[Any, list[bytes]]:
        if operation == "state":
            self._on_state(params)
            return None, []
        if operation == "bundle":
            return {"encoding": "gzip"}, [_bundle(str(params.get("name")))]
        return self._source.call(operation, params), []


@lru_cache(maxsize=1)
def _bundle(name: str) -> bytes:
    if name not in _BUNDLES:
        raise InvalidParameterError(f"There is no bundle {name!r}.")
    return gzip.compress(read_bundle(f"{name}.js").encode(), compresslevel=6, mtime=0)
