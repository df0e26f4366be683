"""joblib: work that a recorded call hands to threads stays inside that call.

Context variables do not reach joblib's threads. A `Parallel` called inside a recorded call is
remembered; every batch it sends out, also from the threads that ask for more work, carries a mark
that the thread reads. Batches are pickled without it, so processes know nothing of it.
"""

from __future__ import annotations

import functools
import weakref
from types import ModuleType
from typing import Any

from nbtrack.autologging import scope
from nbtrack.autologging.patching import Patches

_MARK = "_nbtrack_inside"


def install(module: ModuleType, patches: Patches) -> None:
    """Patch ``joblib.parallel``."""
    parallel, batch_class = module.Parallel, module.BatchedCalls
    call, dispatch, run_batch = parallel.__call__, parallel._dispatch, batch_class.__call__
    inside: weakref.WeakSet[Any] = weakref.WeakSet()

    @functools.wraps(call)
    def marked_call(self: Any, iterable: Any) -> Any:
        __tracebackhide__ = True
        (inside.add if scope.is_inside() else inside.discard)(self)
        return call(self, iterable)

    @functools.wraps(dispatch)
    def marked_dispatch(self: Any, batch: Any) -> Any:
        __tracebackhide__ = True
        if self in inside:
            setattr(batch, _MARK, True)
        return dispatch(self, batch)

    @functools.wraps(run_batch)
    def marked_batch(self: Any) -> Any:
        __tracebackhide__ = True
        if getattr(self, _MARK, False):
            return scope.absorb(run_batch, (self,), {})
        return run_batch(self)

    patches.attribute(parallel, "__call__", marked_call)
    patches.attribute(parallel, "_dispatch", marked_dispatch)
    patches.attribute(batch_class, "__call__", marked_batch)
