"""What an evaluation gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from nbtrack.media import Plot


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics of a model on data, and what can be drawn.

    Parameters
    ----------
    metrics
        By the names that MLflow has for them.
    plots
        The tables that were logged to be drawn, by kind: confusion_matrix, roc_curve ...
    run_id
        The run that has them.
    """

    metrics: Mapping[str, float]
    plots: Mapping[str, Plot] = field(repr=False)
    run_id: str

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables as DataFrames, by kind."""
        import pandas as pd

        return {kind: pd.DataFrame(dict(plot.columns)) for kind, plot in self.plots.items()}
