"""A model is a directory with an ``MLmodel`` file: saving, loading, trust; signatures."""

from typing import TYPE_CHECKING

from nbtrack._lazy import attach
from nbtrack.models.extras import Extras
from nbtrack.models.flavors import Snapshot, take_snapshot
from nbtrack.models.interface import Interface
from nbtrack.models.io import load_directory, load_predictor, save_directory, write_files
from nbtrack.models.model import Model

if TYPE_CHECKING:
    from nbtrack.batch import predict
    from nbtrack.evaluation import evaluate
    from nbtrack.models.custom import set_model
    from nbtrack.models.predicting import PyFuncModel
    from nbtrack.models.signature import ModelSignature, infer_signature

__all__ = [
    "Extras",
    "Interface",
    "Model",
    "ModelSignature",
    "PyFuncModel",
    "Snapshot",
    "evaluate",
    "infer_signature",
    "load_directory",
    "load_predictor",
    "predict",
    "save_directory",
    "set_model",
    "take_snapshot",
    "write_files",
]

__getattr__, _ = attach(
    __name__,
    {
        "ModelSignature": ".signature",
        "PyFuncModel": ".predicting",
        # MLflow's names for what stands above this package, and is not imported by it.
        "evaluate": "nbtrack.evaluation",
        "infer_signature": ".signature",
        "predict": "nbtrack.batch",
        "set_model": ".custom",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
