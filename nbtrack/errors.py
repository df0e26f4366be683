"""Every error nbtrack raises on purpose.

::

    NbtrackError
    ├── InvalidParameterError      a value that cannot be accepted (also a ValueError)
    ├── AlreadyExistsError         the name is taken (an InvalidParameterError)
    ├── NotFoundError              no such run, experiment, artifact or model (a LookupError)
    ├── StoreError                 the database cannot be read or written just now
    │   ├── ForeignDatabaseError   the file is a database, but not one of nbtrack's
    │   ├── CorruptDatabaseError   the file is damaged, or no database at all
    │   └── NewerSchemaError       the file was written by a newer nbtrack
    ├── IntegrityError             stored bytes do not match their digest
    ├── UntrustedModelError        the model would run code from somebody else's file
    └── MissingPackageError        an optional package is needed (also an ImportError)

A message is one sentence with the value in it; ``hint`` is the next thing to do.
"""

from __future__ import annotations


class NbtrackError(Exception):
    """Base of nbtrack's errors: a one-sentence message, and a hint.

    Parameters
    ----------
    message
        What happened, with which value, and what would be accepted.
    hint
        What to do next, as a sentence; shown on a line of its own.

    Examples
    --------
    >>> print(NbtrackError("There is no run 'abc'.", hint="List the runs with %nbtrack runs."))
    There is no run 'abc'.
    hint: List the runs with %nbtrack runs.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        # IPython's hook: in a notebook the sentence is what helps, not the way to it.
        return [f"{type(self).__name__}: {self}"]


class InvalidParameterError(NbtrackError, ValueError):
    """A value that cannot be accepted."""


class AlreadyExistsError(InvalidParameterError):
    """Something of that name is there already."""


class NotFoundError(NbtrackError, LookupError):
    """There is no such experiment, run, metric, artifact, model or version."""


class StoreError(NbtrackError):
    """The database cannot be read or written just now."""


class ForeignDatabaseError(StoreError):
    """The file is an SQLite database, but nbtrack did not make it."""


class CorruptDatabaseError(StoreError):
    """The file is damaged, or is no SQLite database."""


class NewerSchemaError(StoreError):
    """The file was written by a newer nbtrack than this one."""


class IntegrityError(NbtrackError):
    """Stored bytes do not match the digest they were stored under."""


class UntrustedModelError(NbtrackError):
    """Loading the model would run code from a file that this user did not make."""


class MissingPackageError(NbtrackError, ImportError):
    """An optional package is needed for this."""
