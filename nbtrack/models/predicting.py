"""A model that predicts for whatever fits its signature, as MLflow's ``pyfunc`` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.models.custom import CustomPredictor, FunctionModel
from nbtrack.models.enforce import enforce_params, enforce_schema
from nbtrack.models.flavors.base import Predictor
from nbtrack.models.io import load_predictor
from nbtrack.models.model import Model


class PyFuncModel:
    """A loaded model.

    Parameters
    ----------
    predictor
        What predicts.
    metadata
        What its MLmodel file says.
    """

    def __init__(self, predictor: Predictor, metadata: Model) -> None:
        self._predictor = predictor
        self._metadata = metadata
        self._signature = metadata.signature

    @classmethod
    def load(
        cls,
        directory: Path,
        *,
        model_uri: str = "",
        trust: bool = False,
        model_config: Mapping[str, Any] | None = None,
    ) -> PyFuncModel:
        """Return the model of a directory; see `nbtrack.pyfunc.load_model`."""
        metadata = Model.read(directory, model_uri)
        called = model_uri or str(directory)
        predictor = load_predictor(directory, trust=trust, called=called, model_config=model_config)
        return cls(predictor, metadata)

    @property
    def metadata(self) -> Model:
        """What its MLmodel file says: flavors, signature, run_id ..."""
        return self._metadata

    @property
    def model_id(self) -> str:
        """The model's id."""
        return self._metadata.model_id

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return what the model predicts.

        Parameters
        ----------
        data
            What the signature says, in any order; columns that it does not know are left out. A
            model without a signature gets the data as it is.
        params
            Those of the signature; the others are left out with a warning.

        Raises
        ------
        InvalidParameterError
            A column or a tensor is missing, or is of a type that cannot be cast without loss; a
            param is of another type.
        """
        signature = self._signature
        inputs = signature.inputs if signature is not None else None
        if inputs is not None and not self._metadata.is_signature_from_type_hint:
            data = enforce_schema(data, inputs)
        known = signature.params if signature is not None else None
        return self._predictor.predict(data, enforce_params(params, known))

    def unwrap_python_model(self) -> Any:
        """Return the `PythonModel`, or the function, that predicts.

        Raises
        ------
        InvalidParameterError
            It is a model of a library.
        """
        if not isinstance(self._predictor, CustomPredictor):
            raise InvalidParameterError(
                "The model is none of Python code of one's own: it has "
                f"{', '.join(map(str, self._metadata.flavors))}.",
                hint="nbtrack.load_model gives the library's own object.",
            )
        model = self._predictor.python_model
        return model.func if isinstance(model, FunctionModel) else model

    def get_raw_model(self) -> Any:
        """Return the library's own object that predicts.

        Raises
        ------
        InvalidParameterError
            The flavor does not tell.
        """
        raw = getattr(self._predictor, "get_raw_model", None)
        if raw is None:
            raise InvalidParameterError(
                "The model does not tell what predicts in it: it has "
                f"{', '.join(map(str, self._metadata.flavors))}.",
                hint="nbtrack.load_model gives the library's own object.",
            )
        return raw()

    def __repr__(self) -> str:
        """Tell which model it is."""
        lines = ["nbtrack.pyfunc.loaded_model:", f"  model_uri: {self._metadata.model_uri}"]
        if self._metadata.run_id:
            lines.append(f"  run_id: {self._metadata.run_id}")
        return "\n".join(lines)
