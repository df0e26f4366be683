"""Facts about where a run comes from: its process, environment, cells and data.

Loading the extension needs the cells only, so the names are imported as they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtrack._lazy import attach

if TYPE_CHECKING:
    from nbtrack.provenance.data import describe
    from nbtrack.provenance.environment import this_environment
    from nbtrack.provenance.process import is_alive, this_process
    from nbtrack.provenance.redaction import redact, redact_value
    from nbtrack.provenance.source import source_tags

__all__ = [
    "describe",
    "is_alive",
    "redact",
    "redact_value",
    "source_tags",
    "this_environment",
    "this_process",
]

__getattr__, __dir__ = attach(
    __name__,
    {
        "describe": ".data",
        "is_alive": ".process",
        "redact": ".redaction",
        "redact_value": ".redaction",
        "source_tags": ".source",
        "this_environment": ".environment",
        "this_process": ".process",
    },
)
