"""The last epoch of a loop in a function: its variables are read when the function returns.

Afterwards they are gone, and before nobody knows that the epoch is over. So in the last epoch,
from the last step on, the thread has a profile function: until the function returns, or steps
once more. It costs the last validation about a microsecond for each call of a Python function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType


class Return:
    """Waits for a function to return, in the thread that asks for it.

    Parameters
    ----------
    code
        The function's code.
    tell
        Called with its frame.

    Examples
    --------
    >>> from nbtrack.autologging.torch.returning import Return
    >>> def work():
    ...     wait.begin()
    ...     answer = 42
    >>> wait = Return(work.__code__, lambda frame: print(frame.f_locals["answer"]))
    >>> work()
    42
    """

    def __init__(self, code: CodeType, tell: Callable[[FrameType], None]) -> None:
        self._code = code
        self._tell = tell

    def begin(self) -> None:
        """Wait, unless somebody else is profiling."""
        if sys.getprofile() is None:
            sys.setprofile(self._event)

    def stop(self) -> None:
        """Wait no longer."""
        if sys.getprofile() == self._event:
            sys.setprofile(None)

    def _event(self, frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code is self._code:
            self.stop()
            self._tell(frame)
