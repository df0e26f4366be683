"""The one HTTP client: pooled connections, time-outs, tries again, and errors in our words.

Who we are is put into each request and into nothing else: no message, log or ``repr`` has it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from nbtrack._version import __version__
from nbtrack.errors import (
    AlreadyExistsError,
    InvalidParameterError,
    NbtrackError,
    NotFoundError,
    StoreError,
)
from nbtrack.settings import settings
from nbtrack.wire.address import Address, credentials

if TYPE_CHECKING:
    import requests

JSON = dict[str, Any]

API = "/api/2.0/mlflow/"
FILES = "/api/2.0/mlflow-artifacts/artifacts/"
CHUNK = 2**20
CONNECT_S = 5.0
_POOL = 8
_BACKOFF_S = 0.5
_LONGEST_S = 20.0
_TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})  # as MLflow's client has it
_NO_ENTRY = frozenset({401, 403})
_MAX_TEXT = 500  # of what a server says, in a message


class ServerError(StoreError):
    """A server that cannot be asked just now, or answers with something else than MLflow does.

    Attributes
    ----------
    status
        Of the HTTP answer; None if there was none.
    """

    def __init__(self, message: str, *, hint: str | None = None, status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Http:
    """Asks one server. May be used from any thread, and in a child of a fork.

    Parameters
    ----------
    address
        The server.

    Examples
    --------
    >>> from nbtrack.wire import parse_address
    >>> Http(parse_address("http://me:secret@localhost:5000"))
    Http('http://localhost:5000')
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._session: requests.Session | None = None
        self._pid = 0

    def __repr__(self) -> str:
        return f"Http({str(self.address)!r})"

    def call(
        self,
        method: str,
        route: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        wants: str = "",
        retries: int | None = None,
        timeout: float | None = None,
    ) -> JSON:
        """Ask for something and return the JSON of the answer.

        Parameters
        ----------
        route
            Below ``/api/2.0/mlflow/``, or a path that begins with ``/``.
        body, query
            What is asked; a list in `query` is a key that comes several times.
        wants
            What an answer has to have: without it, it is none of MLflow's.
        retries
            How often it is asked again; 0 for what must not be done twice. Default: the setting.
        timeout
            Seconds to wait for the answer; default: the setting.

        Raises
        ------
        NotFoundError, AlreadyExistsError, InvalidParameterError
            The server knows no such thing; it is there already; it does not take it.
        ServerError
            It cannot be reached, does not let us in, is in trouble, or is none of MLflow's.
        """
        # Not requests' json=: that one writes NaN as JSON has no word for.
        data = None if body is None else json.dumps(body, allow_nan=False).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        with self._answer(
            method, route, data=data, headers=headers, query=query, retries=retries, timeout=timeout
        ) as answer:
            try:
                found = json.loads(answer.content or b"{}")
            except (ValueError, RecursionError):
                found = None
        if not isinstance(found, dict) or (wants and wants not in found):
            raise self._foreign(answer)
        return found

    def upload(self, path: str, data: bytes | IO[bytes]) -> None:
        """Write a file where a server keeps artifacts for its clients, as a stream.

        Raises
        ------
        NbtrackError
            As `call`.
        """
        headers = {"Content-Type": "application/octet-stream"}
        # A stream is read once: only bytes can be sent again.
        retries = None if isinstance(data, bytes) else 0
        route = FILES + quote(path)
        with self._answer("PUT", route, data=data, headers=headers, retries=retries):
            pass

    def download(self, path: str, target: IO[bytes]) -> None:
        """Write what a server keeps as a file into another one, as a stream.

        Raises
        ------
        NbtrackError
            As `call`.
        """
        import requests

        with self._answer("GET", FILES + quote(path), stream=True) as answer:
            try:
                for chunk in answer.iter_content(CHUNK):
                    target.write(chunk)
            except requests.RequestException as error:
                raise self._unreachable(error) from None

    # -- one request

    @contextlib.contextmanager
    def _answer(
        self,
        method: str,
        route: str,
        *,
        query: Mapping[str, Any] | None = None,
        retries: int | None = None,
        timeout: float | None = None,
        **request: Any,
    ) -> Iterator[requests.Response]:
        import requests

        tries = settings.server_retries if retries is None else retries
        url = f"{self.address}{route if route.startswith('/') else API + route}"
        for left in range(tries, -1, -1):
            try:
                answer = self._ready().request(
                    method,
                    url,
                    params=query,
                    timeout=(CONNECT_S, timeout or settings.server_timeout),
                    verify=_verify(),
                    cert=settings.client_cert or None,
                    **request,
                )
            except (requests.ConnectionError, requests.Timeout) as error:
                if not left:
                    raise self._unreachable(error) from None
                _pause(tries - left, None)
                continue
            except (requests.RequestException, OSError) as error:  # a certificate that is no file
                raise self._unreachable(error) from None
            with answer:
                if answer.status_code in _TRY_AGAIN and left:
                    _pause(tries - left, answer.headers.get("Retry-After"))
                    continue
                if answer.status_code >= 400:  # noqa: PLR2004 - HTTP's own border
                    raise self._error(answer)
                yield answer
                return

    def _ready(self) -> requests.Session:
        """Return the session of this process: a child must not talk into its parent's."""
        if self._session is None or self._pid != os.getpid():
            import requests
            from requests.adapters import HTTPAdapter

            session = requests.Session()
            adapter = HTTPAdapter(pool_connections=2, pool_maxsize=_POOL)
            for scheme in ("http://", "https://"):
                session.mount(scheme, adapter)
            session.headers["User-Agent"] = f"nbtrack/{__version__}"
            # Not a header of the session: requests would let a .netrc replace it, and would send
            # it on to another host.
            session.auth = _sign(self.address)
            self._session, self._pid = session, os.getpid()
        return self._session

    # -- what went wrong

    def _error(self, answer: requests.Response) -> NbtrackError:
        try:
            said = json.loads(answer.content)
            code, message = str(said["error_code"]), str(said.get("message", ""))[:_MAX_TEXT]
        except (ValueError, TypeError, KeyError, RecursionError):
            code, message = "", ""
        status = answer.status_code
        if status in _NO_ENTRY:
            return ServerError(
                f"The tracking server {self.address} does not let us in ({status}).",
                hint="Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD.",
                status=status,
            )
        if not code or code == "ENDPOINT_NOT_FOUND":
            return self._foreign(answer)
        if status in _TRY_AGAIN or status > 500:  # noqa: PLR2004 - the server's own trouble
            return ServerError(
                f"The tracking server {self.address} is in trouble ({status}): {message}",
                hint="Look into the server's log.",
                status=status,
            )
        if code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}:
            return NotFoundError(message)
        if code in {"RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"}:
            return AlreadyExistsError(message)
        return InvalidParameterError(message)

    def _foreign(self, answer: requests.Response) -> ServerError:
        return ServerError(
            f"{self.address} does not answer as a tracking server does "
            f"({answer.request.method} {answer.request.path_url.partition('?')[0]}: "
            f"{answer.status_code}).",
            hint="Is it the address that `mlflow server` shows, with nothing behind the port?",
            status=answer.status_code,
        )

    def _unreachable(self, error: Exception) -> ServerError:
        import requests

        if isinstance(error, requests.exceptions.SSLError):
            why = "its certificate is not one that is trusted here"
            hint = "Name the right one by MLFLOW_TRACKING_SERVER_CERT_PATH."
        elif isinstance(error, requests.Timeout):
            why, hint = "it did not answer in time", "Is it overrun, or a firewall between?"
        elif isinstance(error, requests.ConnectionError):
            why, hint = "nothing answers there", "Is it running, and the address the right one?"
        else:
            why, hint = type(error).__name__, "Look at the address and the certificates."
        return ServerError(
            f"The tracking server {self.address} cannot be reached: {why}.", hint=hint
        )


def _sign(address: Address) -> Any:
    """Return what puts into a request who we are."""
    who = credentials(address)

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if who.token:
            request.headers["Authorization"] = f"Bearer {who.token}"
        elif who.username:
            import requests

            basic = requests.auth.HTTPBasicAuth(who.username.encode(), who.password.encode())
            basic(request)
        return request

    return sign


def _verify() -> bool | str:
    if settings.server_insecure_tls:
        return False
    return settings.server_cert or True


def _pause(failed: int, said: str | None) -> None:
    """Wait before asking again: as the server says, else longer each time, and not in step."""
    wait = _BACKOFF_S * 2**failed * (0.75 + random.random() / 2)  # noqa: S311 - not a secret
    if said and said.isascii() and said.isdigit():
        wait = float(said[:9])
    time.sleep(min(wait, _LONGEST_S))
