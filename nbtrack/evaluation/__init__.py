"""How good a model is on data: the standard metrics and the tables to be drawn."""

from nbtrack.evaluation.api import evaluate
from nbtrack.evaluation.result import EvaluationResult

__all__ = ["EvaluationResult", "evaluate"]
