"""The user's frames: found in a microsecond, and read without keeping anything alive."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from inspect import CO_OPTIMIZED
from types import CodeType, FrameType
from typing import Any

from nbtrack.autologging.callsite import is_library

# Their frames stand between the user's loop and the call that is heard.
_BETWEEN = {"torch", "contextlib", "accelerate", "lightning_fabric", "apex", "deepspeed"}
_OURS = "nbtrack.autologging"
# These have loops of their own, and integrations of their own: what runs inside is theirs.
_TRAINERS = (
    "lightning.pytorch.",
    "pytorch_lightning.",
    "transformers.trainer",
    "keras.",
    "fastai.",
    "skorch.",
)
_MAX_DEPTH = 24
_CACHE = 4096

# By id, since a code object's hash goes through all of it; the object is kept, and so is its id.
_between: dict[int, tuple[bool, CodeType]] = {}


def user_frame(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame, from `frame` outwards, that is neither torch's nor ours."""
    while frame is not None:
        code = frame.f_code
        known = _between.get(id(code))
        if known is None:
            known = _look_at(frame)
        if not known[0]:
            return frame
        frame = frame.f_back
    return None


def _look_at(frame: FrameType) -> tuple[bool, CodeType]:
    name = str(frame.f_globals.get("__name__"))
    known = (name.partition(".")[0] in _BETWEEN or name.startswith(_OURS)), frame.f_code
    if len(_between) >= _CACHE:
        _between.clear()
    _between[id(frame.f_code)] = known
    return known


def forget() -> None:
    """Forget all code."""
    _between.clear()


def trainer_of(frame: FrameType | None) -> str | None:
    """Return the library whose own loop is running in `frame` or around it, if any."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name.startswith(_TRAINERS):
            return name.partition(".")[0]
        frame = frame.f_back
    return None


def chain(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the user's frames from `frame` outwards, up to the cell or script that began it all."""
    seen_user = False
    for _ in range(_MAX_DEPTH):
        frame = user_frame(frame)
        if frame is None or (is_library(frame) and seen_user):
            return
        seen_user = seen_user or not is_library(frame)
        yield frame
        if frame.f_code.co_name == "<module>":
            return
        frame = frame.f_back


def read(frame: FrameType, names: Iterable[str]) -> dict[str, Any]:
    """Return the values of the variables `names` that are there, as code in `frame` sees them."""
    space = frame.f_globals
    if not frame.f_code.co_flags & CO_OPTIMIZED:  # a module, a cell
        return {name: space[name] for name in names if name in space}
    local = frame.f_locals
    found = {
        name: local[name] if name in local else space[name]
        for name in names
        if name in local or name in space
    }
    _let_go(local)
    return found


def variables(frame: FrameType) -> dict[str, Any]:
    """Return the variables of the function or module that runs in `frame`."""
    local = frame.f_locals
    found = dict(local)
    if frame.f_code.co_flags & CO_OPTIMIZED:
        _let_go(local)
    return found


# The caller's variable, the argument, that of `getrefcount`, and the frame's own.
_ONLY_OURS = 4


def _let_go(snapshot: Any) -> None:
    """Empty the snapshot of a function's variables, if nobody else looks at it.

    Before Python 3.13 the frame keeps it, and all that is in it, until the function returns: a
    tensor that the user deletes would stay in memory. The user may hold it, too, as ``locals()``.
    """
    if sys.version_info < (3, 13) and sys.getrefcount(snapshot) == _ONLY_OURS:
        snapshot.clear()
