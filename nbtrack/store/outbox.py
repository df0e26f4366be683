"""From a journal to a server: records and points as requests, in their order.

The counterpart of `nbtrack.store.fold`. Params, tags and points become few large ``log-batch``
requests. What the server refuses is told and left out, and the rest goes on; where it cannot be
asked, `StoreError` comes out, and all that was not delivered is tried again. So each record is
delivered once or more, which is the same to a server: it drops exact copies of points.
"""

from __future__ import annotations

import json
import re
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from nbtrack.db import Connection, Fields, Loggable, storable
from nbtrack.errors import NbtrackError, NotFoundError, StoreError
from nbtrack.store import fold, journal, journal_file, records
from nbtrack.store.journal_file import Frame
from nbtrack.store.points import AddPoints
from nbtrack.types import LifecycleStage, Metric
from nbtrack.wire.http import Http, ServerError
from nbtrack.wire.messages import metric_to_json

MAX_METRICS, MAX_TEXTS, MAX_ITEMS, MAX_BYTES = 1_000, 100, 1_000, 900_000
MAX_PARAM, MAX_TAG, MAX_KEY = 6_000, 8_000, 250
_GOOD_KEY = re.compile(r"[/\w.\- :]+")
_POINTS = frozenset({journal.SERIES, journal.POINTS})
_MAX_FAILS = 3  # of the server itself, with one and the same request
_INTERNAL = 500

BEGUN = "run_begun"  # the kind of the record that a journal has of a run that was begun

Handler = Callable[[Any], None]
"""Delivers one record of its class; raises what the server says."""

Tell = Callable[[str, str], None]
"""Tells the user something, once for each cause."""


@dataclass(frozen=True, slots=True)
class Begun(Loggable):
    """A run was begun on a server; with what a database would know of its beginning.

    Parameters
    ----------
    cell
        Source of the cell that began it; None outside of notebooks.
    """

    run_id: str
    session_id: str
    cell: str | None = None

    def pack(self) -> Fields:
        """Return the packed form."""
        return [self.run_id, self.session_id, self.cell]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes] = ()) -> Self:
        """Return the record that was packed."""
        return cls(*fields)

    def apply(self, conn: Connection) -> None:
        """Do nothing: a database has all of this otherwise."""


@dataclass(slots=True)
class _Waiting:
    """What goes into the next requests for one run."""

    metrics: list[dict[str, Any]] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


_Item = tuple[str, dict[str, Any]]  # which list of log-batch, and what


class Outbox:
    """Delivers what is in one journal.

    Parameters
    ----------
    http
        The server.
    handlers
        What delivers the records that are no part of ``log-batch``.
    kinds
        Records by the name they have in the journal.
    tell
        Told what is left out, or cut.
    delivered
        How many records and points the server has already.
    max_fails
        How often a server may fail with one request until the request is at fault.
    """

    def __init__(
        self,
        http: Http,
        handlers: Mapping[type[Loggable], Handler],
        kinds: Mapping[str, type[Loggable]],
        tell: Tell,
        delivered: tuple[int, int] = (0, 0),
        *,
        max_fails: int = _MAX_FAILS,
    ) -> None:
        self._http = http
        self._max_fails = max_fails
        self._handlers = handlers
        self._kinds = kinds
        self._tell = tell
        self._series: dict[int, tuple[str, str]] = {}
        self._waiting: defaultdict[str, _Waiting] = defaultdict(_Waiting)
        self._fails = 0
        self._is_searching = False
        self.records, self.points = delivered

    def deliver(self, frames: Iterable[Frame], data: bytes = b"", first_point: int = 0) -> None:
        """Deliver frames, and the points of slots; without what was delivered before.

        Raises
        ------
        StoreError
            The server cannot be asked; `records` and `points` say how far it went.
        """
        self._waiting.clear()
        frames = list(frames)
        # Points before records: a run that is over has all of its points.
        for frame in frames:
            if frame.kind == journal.SERIES:
                self._note_series(frame.fields)
            elif frame.kind == journal.POINTS and frame.number > self.records:
                self._add_frame(frame)
        fresh = journal_file.drop_points(data, self.points - first_point)
        self._add_points(fresh)
        for frame in frames:
            if frame.number > self.records and frame.kind not in _POINTS:
                self._deliver(frame)
        self._send_waiting()
        if frames:
            self.records = max(self.records, *(frame.number for frame in frames))
        self.points = max(self.points, first_point + journal_file.count_points(data))

    def _deliver(self, frame: Frame) -> None:
        try:
            record = self._kinds[frame.kind].unpack(frame.fields, frame.blobs)
            if self._collect(record):
                return
            handler = self._handlers[type(record)]
        except Exception as error:  # noqa: BLE001 - a journal of a dead process may hold anything
            self._leave_out(str(frame.kind), str(frame.kind), error)
            return
        self._send_waiting()
        self._is_done(lambda: handler(record), str(frame.kind))
        self.records = max(self.records, frame.number)

    def _is_done(self, request: Callable[[], object], what: str, run_id: str = "") -> bool:
        """Make a request that the server may refuse; return whether it was taken.

        Raises
        ------
        StoreError
            The server cannot be asked.
        """
        try:
            request()
        except StoreError as error:
            if not self._is_poison(error):
                raise
            self._leave_out(f"{what} {run_id}", what, error)
        except NotFoundError as error:
            self._leave_out(f"gone {run_id}", what, error)
        except NbtrackError as error:
            self._leave_out(f"{what} {run_id}: {error.message[:80]}", what, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, what follows must go on
            self._leave_out(f"{what} {type(error).__name__}", what, error)
        else:
            self._fails = 0
            return True
        return False

    def _is_poison(self, error: StoreError) -> bool:
        """Return whether a request makes the server fail again and again: it is at fault itself."""
        if not isinstance(error, ServerError) or error.status != _INTERNAL:
            return False
        if self._is_searching:  # what it is in a batch that does so
            return True
        self._fails += 1
        if self._fails < self._max_fails:
            return False
        self._fails = 0
        return True

    def _leave_out(self, cause: str, what: str, error: Exception) -> None:
        text = error.message if isinstance(error, NbtrackError) else str(error)
        self._tell(
            cause,
            f"A record was left out, which {self._http.address} does not take ({what}): {text}",
        )

    # -- what becomes log-batch

    def _note_series(self, fields: Fields) -> None:
        try:
            self._series |= journal_file.series_in(fields)
        except (TypeError, ValueError) as error:
            self._leave_out(journal.SERIES, journal.SERIES, error)

    def _add_frame(self, frame: Frame) -> None:
        try:
            self._add_points(frame.blobs[0])
        except (IndexError, struct.error) as error:
            self._leave_out(journal.POINTS, journal.POINTS, error)

    def _add_points(self, data: bytes) -> None:
        for step, timestamp, value, series, _ in journal_file.points_in(data):
            if series in self._series:
                run_id, key = self._series[series]
                self._add_metric(run_id, Metric(key, value, timestamp, step))
            else:
                self._tell("series", "Points were left out whose metric is not known.")

    def _collect(self, record: Loggable) -> bool:
        """Take a record for the next ``log-batch``, if it is one of those that go there."""
        match record:
            case records.LogParams(run_id, params):
                self._add_params(run_id, params)
            case records.SetTags(run_id, tags):
                self._waiting[run_id].tags |= {
                    key: self._short("tag", storable(key), storable(value), MAX_TAG)
                    for key, value in tags.items()
                    if self._is_key("tag", key)
                }
            case records.LinkMetrics(run_id, metrics):
                for metric in metrics:
                    self._add_metric(run_id, metric)
            case AddPoints():
                run_id, points = record.pack()
                for key, value, timestamp, step in points:
                    self._add_metric(run_id, Metric(key, value, timestamp, step))
            case _:
                return False
        return True

    def _add_metric(self, run_id: str, metric: Metric) -> None:
        if self._is_key("metric", metric.key):
            self._waiting[run_id].metrics.append(metric_to_json(metric))

    def _add_params(self, run_id: str, params: Mapping[str, str]) -> None:
        waiting = self._waiting[run_id].params
        for key, value in params.items():
            if self._is_key("param", key):
                text = self._short("param", storable(key), storable(value), MAX_PARAM)
                if waiting.setdefault(storable(key), text) != text:
                    self._tell(
                        f"param {run_id} {key}",
                        f"The param {key!r} keeps its first value {waiting[key]!r} and not "
                        f"{text!r}: a server's params cannot be changed.",
                    )

    def _is_key(self, what: str, key: str) -> bool:
        if len(key) <= MAX_KEY and _GOOD_KEY.fullmatch(key):
            return True
        self._tell(
            f"key {what} {key}",
            f"The {what} {key[:80]!r} was left out: a server takes names of up to {MAX_KEY} "
            "letters, digits, '_', '-', '.', '/', ':' and blanks.",
        )
        return False

    def _short(self, what: str, key: str, value: str, most: int) -> str:
        if len(value) > most:
            self._tell(
                f"long {what} {key}",
                f"The value of the {what} {key!r} has {len(value)} characters; a server keeps the "
                f"first {most}.\nhint: nbtrack.log_text keeps texts of any length.",
            )
        return value[:most]

    def _send_waiting(self) -> None:
        for run_id in list(self._waiting):
            waiting = self._waiting[run_id]
            for batch in _batches(waiting):
                self._send(run_id, batch)
            del self._waiting[run_id]

    def _send(self, run_id: str, batch: list[_Item]) -> None:
        """Send a batch; where something in it is refused, the other things on their own."""
        body: dict[str, Any] = {"run_id": run_id, "metrics": [], "params": [], "tags": []}
        for name, item in batch:
            body[name].append(item)

        def post() -> None:
            self._http.call("POST", "runs/log-batch", body, retries=0)

        if len(batch) == 1:
            name, item = batch[0]
            self._is_done(post, f"{name[:-1]} {item['key']!r}", run_id)
            return
        try:
            post()
            self._fails = 0
        except StoreError as error:
            if not self._is_poison(error):
                raise
            self._look_at(run_id)  # raises if it is the server, after all
            self._is_searching = True
            try:
                self._send_halves(run_id, batch)
            finally:
                self._is_searching = False
        except NbtrackError:
            if self._is_done(lambda: self._look_at(run_id), "records", run_id):
                self._send_halves(run_id, batch)

    def _send_halves(self, run_id: str, batch: list[_Item]) -> None:
        middle = len(batch) // 2
        self._send(run_id, batch[:middle])
        self._send(run_id, batch[middle:])

    def _look_at(self, run_id: str) -> None:
        """Raise if a run is gone, or in the trash: then nothing of a batch can be taken."""
        query = {"run_id": run_id}
        found = self._http.call("GET", "runs/get", query=query, wants="run", retries=0)
        if found["run"]["info"].get("lifecycle_stage") == LifecycleStage.DELETED:
            raise NotFoundError(f"The run {run_id} is in the trash.")


def _batches(waiting: _Waiting) -> Iterator[list[_Item]]:
    """Yield what fits into one request each; params and tags first, for they are few."""
    items: Iterator[_Item] = (
        (name, item)
        for name, part in (
            ("params", ({"key": k, "value": v} for k, v in waiting.params.items())),
            ("tags", ({"key": k, "value": v} for k, v in waiting.tags.items())),
            ("metrics", iter(waiting.metrics)),
        )
        for item in part
    )
    most = {"params": MAX_TEXTS, "tags": MAX_TEXTS, "metrics": MAX_METRICS}
    batch: list[_Item] = []
    counts: defaultdict[str, int] = defaultdict(int)
    size = 0
    for name, item in items:
        length = len(json.dumps(item)) + 2
        full = len(batch) == MAX_ITEMS or counts[name] == most[name] or size + length > MAX_BYTES
        if batch and full:
            yield batch
            batch, size = [], 0
            counts.clear()
        batch.append((name, item))
        counts[name] += 1
        size += length
    if batch:
        yield batch


KINDS: Mapping[str, type[Loggable]] = {
    BEGUN: Begun,
    **{name: kind for name, kind in fold.KINDS.items() if kind is not records.CreateRun},
}
"""The store's records that may be in the journal for a server."""
