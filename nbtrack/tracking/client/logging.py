"""What is logged to a run that is named by its id, as MLflow's client does it.

All of it returns at once, whatever ``synchronous`` says, and outlives the process from then on;
``synchronous=False`` gives an object to wait for, as in MLflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.tracking.client.base import ClientBase
from nbtrack.tracking.operations import RunOperations
from nbtrack.tracking.paths import AnyPath
from nbtrack.tracking.runlife import now_ms
from nbtrack.tracking.values import to_texts
from nbtrack.types import DatasetInput, Metric

CONTEXT_TAG = "mlflow.data.context"


class Logging(ClientBase):
    """The runs of a database, as they are written to.

    Raises
    ------
    NotFoundError, InvalidParameterError
        By all of them: no run, or more than one, is meant; it is in the trash; what is logged
        cannot be kept.
    """

    def log_metric(  # noqa: PLR0917 - MLflow's signature
        self,
        run_id: str,
        key: str,
        value: float,
        timestamp: int | None = None,
        step: int | None = None,
        synchronous: bool | None = None,
        dataset_name: str | None = None,
        dataset_digest: str | None = None,
        model_id: str | None = None,
    ) -> RunOperations | None:
        """Add a point to a metric of a run.

        Parameters
        ----------
        timestamp
            Milliseconds since 1970 UTC; default: now.
        step
            Place of the point; default: 0.
        synchronous
            False: return an object to wait for.
        dataset_name, dataset_digest, model_id
            What it was measured with.
        """
        run = self.handle(run_id)
        if dataset_name is None and dataset_digest is None and model_id is None:
            run.log_metric(key, value, step, timestamp)
        else:
            at = now_ms() if timestamp is None else timestamp
            run.log_batch(
                [Metric(key, value, at, step or 0, model_id, dataset_name, dataset_digest)]
            )
        return self._operations(synchronous)

    def log_param(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> Any:
        """Set a param of a run and return the value. One that is there is overwritten."""
        self.handle(run_id).log_param(key, value)
        return value if synchronous is not False else self._operations(synchronous)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Any] = (),
        params: Sequence[Any] = (),
        tags: Sequence[Any] = (),
        synchronous: bool | None = None,
    ) -> RunOperations | None:
        """Log `Metric`, `Param` and `RunTag` objects; nothing, if one of them cannot be kept."""
        self.handle(run_id).log_batch(metrics, params, tags)
        return self._operations(synchronous)

    def set_tag(
        self, run_id: str, key: str, value: Any, synchronous: bool | None = None
    ) -> RunOperations | None:
        """Set a tag of a run. One that is there is overwritten."""
        self.handle(run_id).set_tag(key, value)
        return self._operations(synchronous)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Take a tag off a run; there has to be one."""
        self.handle(run_id).delete_tag(key)

    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[Any] | None = None,
        models: Sequence[Any] | None = None,
    ) -> None:
        """Note datasets that a run saw.

        Parameters
        ----------
        datasets
            `DatasetInput` objects. The tags of one are a dict or `InputTag` objects; without a
            ``context`` the tag ``mlflow.data.context`` says it.
        """
        if models:
            raise no_models()
        run = self.handle(run_id)
        run.log_inputs([_dataset_input(item) for item in datasets or ()])

    # -- files

    def log_artifact(
        self, run_id: str, local_path: AnyPath, artifact_path: AnyPath | None = None
    ) -> None:
        """Keep a file, or a folder under its own name, among the artifacts of a run."""
        self.handle(run_id).log_artifact(local_path, artifact_path)

    def log_artifacts(
        self, run_id: str, local_dir: AnyPath, artifact_path: AnyPath | None = None
    ) -> None:
        """Keep all that is in a folder among the artifacts of a run."""
        self.handle(run_id).log_artifacts(local_dir, artifact_path)

    def log_text(self, run_id: str, text: str, artifact_file: AnyPath) -> None:
        """Keep a text as a file."""
        self.handle(run_id).log_text(text, artifact_file)

    def log_dict(self, run_id: str, dictionary: Any, artifact_file: AnyPath) -> None:
        """Keep a dict or list as a file: YAML where the path ends in .yml or .yaml, else JSON."""
        self.handle(run_id).log_dict(dictionary, artifact_file)

    def log_figure(
        self,
        run_id: str,
        figure: Any,
        artifact_file: AnyPath,
        *,
        save_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep a figure of matplotlib, plotly or altair; the extension says the format."""
        self.handle(run_id).log_figure(figure, artifact_file, save_kwargs=save_kwargs)

    def log_image(  # noqa: PLR0917 - MLflow's signature
        self,
        run_id: str,
        image: Any,
        artifact_file: AnyPath | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
        synchronous: bool | None = None,
    ) -> RunOperations | None:
        """Keep an image under a path of its own, or as one of a series that `key` names."""
        self.handle(run_id).log_image(image, artifact_file, key, step, timestamp)
        return self._operations(synchronous)

    def log_table(self, run_id: str, data: Any, artifact_file: AnyPath) -> None:
        """Keep a table as .json or .parquet; rows are appended to one that is there."""
        self.handle(run_id).log_table(data, artifact_file)

    def _operations(self, synchronous: bool | None) -> RunOperations | None:
        return RunOperations(self.flush) if synchronous is False else None


def no_models() -> InvalidParameterError:
    """Return what is raised where models are given as inputs."""
    return InvalidParameterError(
        "A run cannot have models as inputs.", hint="Leave out models; log_model keeps a model."
    )


def _dataset_input(item: Any) -> DatasetInput:
    """Return a dataset of a run, whatever its tags are given as."""
    from nbtrack.data import to_record

    if not hasattr(item, "dataset"):
        raise InvalidParameterError(
            f"A {type(item).__name__} is no DatasetInput.",
            hint="Use nbtrack.entities.DatasetInput(dataset, 'train'), or nbtrack.log_input.",
        )
    tags = item.tags or {}
    if not isinstance(tags, Mapping):
        tags = {tag.key: tag.value for tag in tags}
    context = getattr(item, "context", "") or tags.get(CONTEXT_TAG, "")
    own = to_texts({key: value for key, value in tags.items() if key != CONTEXT_TAG})
    return DatasetInput(to_record(item.dataset), context, own)
