"""The words that some columns of models hold, and no others: MLflow's."""

from __future__ import annotations

STAGES = ("None", "Staging", "Production", "Archived")
"""``model_versions.current_stage``."""

VERSION_STATUSES = ("READY", "PENDING_REGISTRATION", "FAILED_REGISTRATION")
"""``model_versions.status``."""

MODEL_STATUSES = (
    "LOGGED_MODEL_UNSPECIFIED",
    "LOGGED_MODEL_PENDING",
    "LOGGED_MODEL_READY",
    "LOGGED_MODEL_UPLOAD_FAILED",
)
"""``models.status``."""

ROLES = ("input", "output")
"""``run_models.role``."""
