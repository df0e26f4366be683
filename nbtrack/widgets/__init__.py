"""Interactive views in the notebook."""

from nbtrack.widgets.comparison import CompareWidget, compare

__all__ = ["CompareWidget", "compare"]
