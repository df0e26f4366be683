"""Where the bytes of runs live: content-addressed, compressed where that pays, long ones outside.

The functions that ``mlflow.artifacts`` has are found here, too. They belong to the layer of the
clients, and are looked up there when they are used.
"""

from nbtrack._lazy import attach
from nbtrack.artifacts.base import ArtifactStore
from nbtrack.artifacts.digest import sha256, tree_digest
from nbtrack.artifacts.records import Agree, PutContent, PutFiles
from nbtrack.artifacts.sqlite import SqliteArtifacts
from nbtrack.artifacts.uploads import Uploads

__all__ = [
    "Agree",
    "ArtifactStore",
    "PutContent",
    "PutFiles",
    "SqliteArtifacts",
    "Uploads",
    "sha256",
    "tree_digest",
]

_CLIENTS = "nbtrack.tracking.artifacts"
_FUNCTIONS = ("download_artifacts", "list_artifacts", "load_dict", "load_image", "load_text")

__getattr__, _ = attach(__name__, dict.fromkeys(_FUNCTIONS, _CLIENTS))


def __dir__() -> list[str]:
    return sorted([*__all__, *_FUNCTIONS])
