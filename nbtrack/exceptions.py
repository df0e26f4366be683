"""The name that scripts catch MLflow's errors by; here all of nbtrack's are one of it."""

from nbtrack.errors import NbtrackError as MlflowException

__all__ = ["MlflowException"]
