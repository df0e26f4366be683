"""ONNX, as MLflow's module of that name has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtrack.models import Model


def log_model(
    onnx_model: object,
    artifact_path: str | None = None,
    *,
    code_paths: Sequence[str | Path] | None = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    await_registration_for: float | None = 300,
    pip_requirements: Iterable[str] | str | None = None,
    extra_pip_requirements: Iterable[str] | str | None = None,
    onnx_execution_providers: Sequence[Any] | None = None,
    onnx_session_options: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    save_as_external_data: bool = True,
    name: str | None = None,
) -> Model:
    """Keep a model with the active run, or with one that begins now.

    Parameters
    ----------
    onnx_model
        An ``onnx.ModelProto``; it is not changed.
    artifact_path, name
        Two names of one thing: what the model is called in the run; default: ``model``.
    code_paths
        Files and folders that are on ``sys.path`` where it is loaded.
    registered_model_name
        It becomes the next version of this registered model.
    signature
        What it takes and gives.
    input_example
        An example of what it takes.
    await_registration_for
        Wait so many seconds at most until the version is there; None or 0: not at all.
    pip_requirements, extra_pip_requirements
        Packages that it needs, instead of what is found or in addition; or the path of a file.
    onnx_execution_providers
        Where it may run, the best first; each a name, or a name and options.
    onnx_session_options
        ``intra_op_num_threads``, ``inter_op_num_threads``, ``execution_mode`` (``sequential`` or
        ``parallel``), ``graph_optimization_level`` and ``extra_session_config`` of a session.
    save_as_external_data
        Put large tensors into a file of their own.
    metadata
        What MLmodel is to say about it.

    Returns
    -------
    Model
        Its ``model_uri`` loads it.

    Raises
    ------
    InvalidParameterError
        An argument cannot be used, or the model is larger than the setting ``max_model_mb``.
    MissingPackageError
        onnx or onnxruntime is not installed.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> from onnx import parser
    >>> model = parser.parse_model(
    ...     '<ir_version: 9, opset_import: ["" : 17]>'
    ...     "g (float[N] x) => (float[N] y) { y = Neg(x) }"
    ... )
    >>> with nbtrack.start_run():
    ...     info = nbtrack.onnx.log_model(model, name="graph")
    >>> nbtrack.onnx.load_model(info.model_uri).graph.node[0].op_type
    'Neg'
    """
    given = dict(locals())
    from nbtrack.tracking import flavor_api

    return flavor_api.log_model("onnx", given.pop("onnx_model"), given)


def save_model(
    onnx_model: object,
    path: str | Path,
    *,
    code_paths: Sequence[str | Path] | None = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Iterable[str] | str | None = None,
    extra_pip_requirements: Iterable[str] | str | None = None,
    onnx_execution_providers: Sequence[Any] | None = None,
    onnx_session_options: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    save_as_external_data: bool = True,
) -> None:
    """Write a model into a directory; see `log_model`.

    Parameters
    ----------
    path
        The directory: it is made, or is empty.

    Raises
    ------
    InvalidParameterError
        An argument cannot be used, or there is something already.
    MissingPackageError
        onnx or onnxruntime is not installed.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from onnx import parser
    >>> model = parser.parse_model(
    ...     '<ir_version: 9, opset_import: ["" : 17]>'
    ...     "g (float[N] x) => (float[N] y) { y = Neg(x) }"
    ... )
    >>> folder = tempfile.mkdtemp() + "/graph"
    >>> nbtrack.onnx.save_model(model, folder)
    >>> nbtrack.load_model(folder).graph.node[0].op_type
    'Neg'
    """
    given = dict(locals())
    from nbtrack.tracking import flavor_api

    flavor_api.save_model("onnx", given.pop("onnx_model"), given.pop("path"), given)


def load_model(model_uri: str, dst_path: str | Path | None = None, *, trust: bool = False) -> Any:
    """Return a model as it was when it was logged or saved.

    Parameters
    ----------
    model_uri
        As of `nbtrack.load_model`.
    dst_path
        A folder that its files are copied to; they stay there.
    trust
        Load it although it was not saved by this user on this machine, and loading it can run
        code that its maker put in: options of
        execution providers, or of a session.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is no such model; the URI cannot be read.
    UntrustedModelError
        Loading it can run code, it is somebody else's, or was changed, and `trust` was not given.
    MissingPackageError
        onnx or onnxruntime is not installed.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from onnx import parser
    >>> model = parser.parse_model(
    ...     '<ir_version: 9, opset_import: ["" : 17]>'
    ...     "g (float[N] x) => (float[N] y) { y = Neg(x) }"
    ... )
    >>> folder = tempfile.mkdtemp() + "/graph"
    >>> nbtrack.onnx.save_model(model, folder)
    >>> nbtrack.onnx.load_model(folder).graph.node[0].op_type
    'Neg'
    """
    from nbtrack.tracking import flavor_api

    return flavor_api.load_model(model_uri, dst_path, trust=trust)
