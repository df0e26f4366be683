"""What MLflow's asynchronous calls return."""

from __future__ import annotations

from collections.abc import Callable


class RunOperations:
    """What was logged with ``synchronous=False``; `wait` returns when it is in the database.

    Every logging call of nbtrack returns at once, and what it was given outlives the process from
    then on: there is nothing to wait for, unless another process shall read it.

    Examples
    --------
    >>> RunOperations(lambda seconds: None).wait()
    """

    def __init__(self, flush: Callable[[float], None]) -> None:
        self._flush = flush

    def wait(self, timeout: float = 10.0) -> None:
        """Return when it is stored.

        Raises
        ------
        StoreError
            The database could not be written within `timeout` seconds.
        """
        self._flush(timeout)
