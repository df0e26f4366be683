"""Interactive views in the notebook."""

from nbtrack.widgets.compare import CompareWidget, compare

__all__ = ["CompareWidget", "compare"]
