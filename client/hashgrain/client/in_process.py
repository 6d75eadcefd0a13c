"""The network in this very process, by ONNX Runtime: no server, the same codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from hashgrain.client.address import Address
from hashgrain.client.transport import Served
from hashgrain.client.transport_errors import model_load_errors, model_run_errors
from hashgrain.codes.contract import ENCODER_MODEL, EncoderContract, input_tensor
from hashgrain.codes.errors import InvalidInput

_TRITON_TYPES = {"tensor(uint8)": "UINT8", "tensor(float)": "FP32"}
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_ONLY_FATAL = 4


class InProcessTransport:
    """A `Transport` without a server; see there. Deadlines do not apply: the work is this process' own."""

    in_flight = 1  # a session spreads one batch over all cores; a second would only wait

    def __init__(self, address: Address) -> None:
        self._path = find_model(Path(address.target))
        self._address = Address("in_process", str(self._path))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ONLY_FATAL  # what goes wrong comes as an exception too
        available = set(onnxruntime.get_available_providers())
        providers = [name for name in _PROVIDERS if name in available]
        with model_load_errors(self._address):
            self._session = onnxruntime.InferenceSession(str(self._path), options, providers=providers)

    def connect(self, seconds: float) -> Served:
        """See `Transport`; reads the contract from the model's metadata."""
        session, source = self._session, str(self._path)
        contract = EncoderContract.from_metadata(session.get_modelmeta().custom_metadata_map, source)
        tensors = (*session.get_inputs(), *session.get_outputs())
        contract.check_tensors({tensor.name: _triton_form(tensor) for tensor in tensors}, source)
        return Served(contract, 0, "onnxruntime", onnxruntime.__version__)

    def infer(self, batch: NDArray[Any], outputs: tuple[str, ...], seconds: float) -> dict[str, NDArray[Any]]:
        """See `Transport`."""
        name, _ = input_tensor(batch)
        with model_run_errors(self._address):
            return dict(zip(outputs, self._session.run(list(outputs), {name: batch}), strict=True))

    def close(self) -> None:
        """Nothing to do: the session goes with the object."""


def find_model(path: Path) -> Path:
    """The model file that a path means: itself, or the newest version in a model's folder or a model repository.

    Raises:
        InvalidInput: there is none.
    """
    if path.is_file():
        return path
    for folder in (path, path / ENCODER_MODEL):
        versions = [p for p in folder.glob("*/model.onnx") if p.parent.name.isdecimal()]
        found = [*folder.glob("model.onnx"), *sorted(versions, key=lambda p: -int(p.parent.name))]
        if found:
            return found[0]
    raise InvalidInput(
        f"{path} holds no model: looked for model.onnx, 1/model.onnx and {ENCODER_MODEL}/1/model.onnx; "
        "write one with `hashgrain export`"
    )


def _triton_form(tensor: Any) -> tuple[str, tuple[int, ...]]:
    """Triton's data type and shape of a session's tensor; a dimension with a name is -1."""
    shape = tuple(size if isinstance(size, int) else -1 for size in tensor.shape)
    return _TRITON_TYPES.get(tensor.type, tensor.type), shape
