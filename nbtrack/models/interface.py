"""What a model takes and gives: the signature and the input example in MLflow's format."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nbtrack.models.flavors.base import Snapshot

EXAMPLE, SERVED = "input_example.json", "serving_input_example.json"


@dataclass(frozen=True, slots=True)
class Interface:
    """Schemas and an example, as they go into a model's directory.

    Parameters
    ----------
    inputs, outputs
        Schemas as JSON.
    example
        What the example is: ``dataframe``, ``ndarray`` or ``json_object``; empty: there is none.
    rows
        The example as JSON: ``{"columns": [...], "data": [...]}``, rows of an array, or a value.
    params
        Params of the example as JSON; empty: it has none.

    Examples
    --------
    >>> snapshot = Snapshot("sklearn", "a.B", {}, {}, {})
    >>> interface = Interface('[{"type": "double"}]', example="ndarray", rows="[[1.0]]")
    >>> found = interface.added_to(snapshot)
    >>> found.files["serving_input_example.json"]
    b'{"inputs": [[1.0]]}'
    >>> found.signature
    {'inputs': '[{"type": "double"}]', 'outputs': None}
    """

    inputs: str | None = None
    outputs: str | None = None
    example: str = ""
    rows: str = ""
    params: str = ""

    def added_to(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot of the model with these."""
        files, info = dict(snapshot.files), None
        if self.example:
            key = "dataframe_split" if self.example == "dataframe" else "inputs"
            files[EXAMPLE] = self.rows.encode()
            files[SERVED] = f'{{"{key}": {self.rows}}}'.encode()
            info = {"artifact_path": EXAMPLE, "serving_input_path": SERVED, "type": self.example}
            if self.params:
                files[EXAMPLE] = f'{{"inputs": {self.rows}, "params": {self.params}}}'.encode()
                files[SERVED] = f'{{"{key}": {self.rows}, "params": {self.params}}}'.encode()
                info["params"] = "true"
            if self.example == "dataframe":
                info["pandas_orient"] = "split"
        signature = {"inputs": self.inputs, "outputs": self.outputs}
        return replace(
            snapshot,
            files=files,
            signature=signature if self.inputs else None,
            example=info,
        )
