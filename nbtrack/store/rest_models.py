"""Logged models of a tracking server: made once for each model of ours, and finished."""

from __future__ import annotations

from dataclasses import dataclass

from nbtrack.types import ModelInfo
from nbtrack.wire.http import Http, ServerError
from nbtrack.wire.messages import ARTIFACT_PATH_TAG, CLASS_TAG, FLAVOR_TAG, SIZE_TAG, pairs_to_json

MODEL_TAG = "nbtrack.model_id"
_NO_ROUTE = frozenset({404, 405})
_REFUSED_IN_NAMES = frozenset("/:.%\"'")


@dataclass(frozen=True, slots=True)
class LoggedModels:
    """What is asked of a server about logged models."""

    http: Http

    def make(self, model: ModelInfo, experiment_id: str) -> str | None:
        """Return the id that a model has on the server; None if the server has no such thing.

        It is made the first time, and found by its tag from then on.

        Raises
        ------
        NbtrackError
            The server does not take it, or cannot be asked.
        """
        asked = {
            "experiment_ids": [experiment_id],
            "filter": f"tags.`{MODEL_TAG}` = '{model.model_id}'",
        }
        try:
            found = self.http.call("POST", "logged-models/search", asked)
        except ServerError as error:
            if error.status in _NO_ROUTE:  # it is older than logged models
                return None
            raise
        if found.get("models"):
            return str(found["models"][0]["info"]["model_id"])
        tags = {
            **model.tags,
            MODEL_TAG: model.model_id,
            FLAVOR_TAG: model.flavor,
            CLASS_TAG: model.model_class,
            SIZE_TAG: str(model.size_bytes),
            ARTIFACT_PATH_TAG: model.artifact_path,
        }
        name = model.name or model.artifact_path
        made = self.http.call(
            "POST",
            "logged-models",
            wants="model",
            body={
                "experiment_id": experiment_id,
                "name": "".join("_" if char in _REFUSED_IN_NAMES else char for char in name),
                "model_type": model.model_type,
                "source_run_id": model.run_id,
                "params": pairs_to_json(model.params),
                "tags": pairs_to_json(tags),
            },
            retries=0,
        )
        return str(made["model"]["info"]["model_id"])

    def finish(self, model_id: str, run_id: str, step: int = 0) -> None:
        """Say that all files of a model are there, and which run it is from; again is harmless."""
        body = {"model_id": model_id, "status": "LOGGED_MODEL_READY"}
        self.http.call("PATCH", f"logged-models/{model_id}", body)
        run = self.http.call("GET", "runs/get", query={"run_id": run_id}, wants="run")["run"]
        known = [o.get("model_id") for o in run.get("outputs", {}).get("model_outputs", ())]
        if model_id in known:  # a server takes it once
            return
        output = {"run_id": run_id, "models": [{"model_id": model_id, "step": step}]}
        self.http.call("POST", "runs/outputs", output)
