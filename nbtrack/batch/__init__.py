"""Batch inference: a file of any length through a model, in bounded memory."""

from nbtrack.batch.inference import CONTENT_TYPES, predict, run
from nbtrack.batch.writing import open_output

__all__ = ["CONTENT_TYPES", "open_output", "predict", "run"]
