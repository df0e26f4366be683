"""The environment a run was made in: what was imported, in which versions."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

# Distributions whose name is not that of the module. A full map (packages_distributions) takes
# most of a second: too long for something that is asked at the first fit.
_DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "cv2": "opencv-python",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "imblearn": "imbalanced-learn",
    "dateutil": "python-dateutil",
}


def this_environment() -> dict[str, Any]:
    """Return Python, platform and the versions of the imported packages, JSON-able."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "packages": imported_packages(),
    }


def imported_packages() -> dict[str, str]:
    """Return name and version of the distributions of the top-level modules imported by now."""
    stdlib = sys.stdlib_module_names
    tops = {name.partition(".")[0] for name in list(sys.modules)}
    found = {}
    for top in sorted(tops - stdlib):
        if top.startswith("_"):
            continue
        # Not by getattr: a module may import, warn or raise when it is asked for a name.
        own = getattr(sys.modules.get(top), "__dict__", {})
        if own.get("__version__") is None and top not in _DISTRIBUTIONS:
            continue  # helpers without a version of their own are not what a reader looks for
        name = _DISTRIBUTIONS.get(top, top)
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # a module of the user's own
    return found
