"""The registry of a tracking server."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from nbtrack.db import LogSink
from nbtrack.errors import AlreadyExistsError, NotFoundError
from nbtrack.registry.base import check_name
from nbtrack.registry.uri import LATEST, STAGES, LoggedModelUri, RunUri, parse
from nbtrack.store.rest import RestStore
from nbtrack.store.rest_reading import MODEL_ID
from nbtrack.types import ModelInfo, ModelVersion, RegisteredModel
from nbtrack.wire.http import Http
from nbtrack.wire.messages import registered_from_json, version_from_json

_PAGE = 1_000
_BY_ID = "models:/"


class RestRegistry:
    """A `nbtrack.registry.base.Registry` on a tracking server.

    Parameters
    ----------
    http
        The server.
    sink
        Flushed before the registry is asked: a model must be there that is registered.
    store
        The runs of the server.
    """

    def __init__(self, http: Http, sink: LogSink, store: RestStore) -> None:
        self._http = http
        self._sink = sink
        self._store = store

    def register(self, name: str, *, run_id: str, artifact_path: str, user_id: str) -> ModelVersion:
        """Make the next version of a name from a run's model."""
        name = check_name(name)
        self._sink.flush()
        model = self._model_of(run_id, artifact_path)
        with contextlib.suppress(AlreadyExistsError):  # the next version of it, then
            self._http.call("POST", "registered-models/create", {"name": name}, retries=0)
        body = {"name": name, "run_id": run_id}
        if model is None:
            body["source"] = f"{self._store.artifact_uri(run_id)}/{artifact_path}"
        else:
            body |= {"source": f"{_BY_ID}{model.model_id}", "model_id": model.model_id}
        made = self._http.call(
            "POST", "model-versions/create", body, wants="model_version", retries=0
        )
        return self._whole(version_from_json(made["model_version"]))

    def _model_of(self, run_id: str, artifact_path: str) -> ModelInfo | None:
        """Return the logged model of a run; None if its files are among the run's artifacts."""
        run = self._store.get_run(run_id)
        models = [m for m in run.models if m.artifact_path == artifact_path]
        if models:
            return max(models, key=lambda model: model.created_ms)
        if "mlflow.log-model.history" in run.data.tags:
            return None
        raise NotFoundError(
            f"The run {run_id} has no model '{artifact_path}' to register.",
            hint="Only a finished fit has one; see the settings log_models and max_model_mb.",
        )

    def search_models(self) -> list[RegisteredModel]:
        """Return all registered models by name, each with its versions, newest first."""
        self._sink.flush()
        by_name: defaultdict[str, list[ModelVersion]] = defaultdict(list)
        for item in self._pages("model-versions/search", "model_versions"):
            by_name[str(item["name"])].append(version_from_json(item))
        found = []
        for item in self._pages("registered-models/search", "registered_models"):
            aliases: defaultdict[int, list[str]] = defaultdict(list)
            for alias in item.get("aliases", ()):
                aliases[int(alias["version"])].append(str(alias["alias"]))
            versions = sorted(by_name[str(item["name"])], key=lambda v: -v.version)
            named = [replace(v, aliases=tuple(aliases[v.version])) for v in versions]
            found.append(registered_from_json(item, named))
        return sorted(found, key=lambda model: model.name)

    def get_version(self, name: str, version: int | str) -> ModelVersion:
        """Return a version by number, by ``latest``, or by ``@alias``."""
        self._sink.flush()
        if version == LATEST:
            model = self._http.call(
                "GET", "registered-models/get", query={"name": name}, wants="registered_model"
            )["registered_model"]
            numbers = [int(v["version"]) for v in model.get("latest_versions", ())]
            if not numbers:
                raise NotFoundError(f"The registered model {name!r} has no version yet.")
            version = max(numbers)
        if version in STAGES:
            model = self._http.call(
                "GET", "registered-models/get", query={"name": name}, wants="registered_model"
            )["registered_model"]
            latest = model.get("latest_versions", ())
            numbers = [int(v["version"]) for v in latest if v.get("current_stage") == version]
            if not numbers:
                raise NotFoundError(f"The registered model {name!r} has no version in {version}.")
            version = max(numbers)
        if isinstance(version, str):
            query = {"name": name, "alias": version.removeprefix("@")}
            found = self._http.call(
                "GET", "registered-models/alias", query=query, wants="model_version"
            )
        else:
            query = {"name": name, "version": str(version)}
            found = self._http.call("GET", "model-versions/get", query=query, wants="model_version")
        return self._whole(version_from_json(found["model_version"]))

    def _whole(self, version: ModelVersion) -> ModelVersion:
        """Return a version with the name of its run, which the protocol does not tell."""
        if version.run_id is None:
            return version
        try:
            name = self._store.get_run(version.run_id).info.run_name
        except NotFoundError:
            return version
        return replace(version, run_name=name)

    def locate_model(self, model_id: str) -> RunUri:
        """Return where the files of a model are: below itself."""
        return RunUri(model_id, "")

    def locate(self, version: ModelVersion) -> RunUri:
        """Return where the files of a version are: below a run, or below a logged model.

        Raises
        ------
        NotFoundError
            They are somewhere that no run and no logged model has.
        """
        for _ in range(10):  # a copy of a copy of a copy ...
            source = version.source
            model_id = version.model_id or source.removeprefix(_BY_ID)
            if MODEL_ID.fullmatch(model_id):
                return RunUri(model_id, "")
            if not source.startswith((_BY_ID, "runs:/")):
                break
            target = parse(source)
            if isinstance(target, LoggedModelUri):
                return self.locate_model(target.model_id)
            if isinstance(target, RunUri):
                return target
            if target is None:
                break
            version = self.get_version(target.name, target.version)
        if version.run_id:
            root = f"{self._store.artifact_uri(version.run_id).rstrip('/')}/"
            if version.source.startswith(root):
                return RunUri(version.run_id, version.source.removeprefix(root))
        raise NotFoundError(
            f"The files of {version.name} version {version.version} are at {version.source!r}, "
            "which belongs to no run and no logged model.",
            hint="Register a model of a run: client.register_model('runs:/<run id>/model', name).",
        )

    def _pages(self, route: str, name: str) -> Iterator[Mapping[str, Any]]:
        query: dict[str, Any] = {"max_results": _PAGE}
        while True:
            found = self._http.call("GET", route, query=query)
            yield from found.get(name, ())
            if not found.get("next_page_token"):
                return
            query["page_token"] = found["next_page_token"]
