"""A hash encoder's ONNX file in ONNX Runtime: found, loaded and held to its contract.

The one way in which a model runs inside a process, for the client as for evaluation. ONNX Runtime is imported when a
model is opened, so that the other contracts need it not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hashgrain.codes.contract import ENCODER_MODEL, EncoderContract, input_tensor
from hashgrain.codes.errors import ContractViolation, InferenceFailed, InvalidInput, MissingDependency
from hashgrain.codes.first_line import first_line

_TRITON_TYPES = {"tensor(uint8)": "UINT8", "tensor(float)": "FP32"}
_GPU, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_ONLY_FATAL = 4


class OnnxModel:
    """A hash encoder in this process, on a GPU where ONNX Runtime has one. Threads may share it.

    Args:
        path: see `find_model`.
        threads: how many compute without a GPU; by default one for each core.

    Attributes:
        path: the file.
        contract: what the model says of itself, checked against its tensors.
        runtime_version: ONNX Runtime's.

    Raises:
        InvalidInput: there is no model.
        ContractViolation: it cannot be loaded, or is not a hash encoder.
        MissingDependency: ONNX Runtime is not installed.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        try:
            import onnxruntime

            from hashgrain.codes.cpu_session import CpuSession
        except ImportError as exc:
            raise MissingDependency(
                'onnxruntime is not installed; install it with: pip install "hashgrain[cpu]" (or [gpu])'
            ) from exc
        self.path = find_model(path)
        self.runtime_version: str = onnxruntime.__version__
        with load_errors(str(self.path)):
            if _GPU in onnxruntime.get_available_providers():
                options = onnxruntime.SessionOptions()
                options.log_severity_level = _ONLY_FATAL  # what goes wrong comes as an exception too
                self._session = onnxruntime.InferenceSession(str(self.path), options, providers=[_GPU, _CPU])
                self._run = self._session.run
            else:
                on_cores = CpuSession(str(self.path), threads, _ONLY_FATAL)
                self._session, self._run = on_cores.whole, on_cores.run
        self.contract = self._checked_contract()

    def run(self, batch: NDArray[Any], outputs: tuple[str, ...]) -> dict[str, NDArray[Any]]:
        """Run one batch.

        Args:
            batch: pictures, uint8 (B, S, S, 3), or vectors, float32 (B, D), as the contract says.
            outputs: names of the tensors wanted.

        Returns:
            Array by tensor name, B rows each.

        Raises:
            InferenceFailed: the model does not take the batch.
        """
        name, _ = input_tensor(batch)
        with run_errors(str(self.path)):
            return dict(zip(outputs, self._run(list(outputs), {name: batch}), strict=True))

    def _checked_contract(self) -> EncoderContract:
        session, source = self._session, str(self.path)
        contract = EncoderContract.from_metadata(session.get_modelmeta().custom_metadata_map, source)
        tensors = (*session.get_inputs(), *session.get_outputs())
        contract.check_tensors({tensor.name: _triton_form(tensor) for tensor in tensors}, source)
        return contract


def find_model(path: Path, version: str = "") -> Path:
    """The model file that a path means: itself, or a version in a model's folder or a model repository.

    Args:
        path: the file or folder.
        version: the version's number; the newest where there is none.

    Raises:
        InvalidInput: there is none.
    """
    if path.is_file() and not version:
        return path
    for folder in (path, path / ENCODER_MODEL):
        versions = [p for p in folder.glob("*/model.onnx") if p.parent.name.isdecimal()]
        found = [*folder.glob("model.onnx"), *sorted(versions, key=lambda p: -int(p.parent.name))]
        if version:
            found = [p for p in found if p.parent.name == version]
        if found:
            return found[0]
    if version:
        raise InvalidInput(
            f"{path} holds no version {version} of the model: looked for {version}/model.onnx and "
            f"{ENCODER_MODEL}/{version}/model.onnx"
        )
    raise InvalidInput(
        f"{path} holds no model: looked for model.onnx, 1/model.onnx and {ENCODER_MODEL}/1/model.onnx; "
        "write one with `hashgrain export`"
    )


@contextmanager
def load_errors(source: str) -> Iterator[None]:
    """Translate what ONNX Runtime raises on loading a model; its exceptions have no base but Exception."""
    try:
        yield
    except Exception as exc:
        raise ContractViolation(
            f"{source} cannot be loaded by ONNX Runtime ({first_line(exc)}); export it again with `hashgrain export`"
        ) from exc


@contextmanager
def run_errors(source: str) -> Iterator[None]:
    """Translate what ONNX Runtime raises on running a model."""
    try:
        yield
    except Exception as exc:
        raise InferenceFailed(f"ONNX Runtime failed on {source}: {first_line(exc)}") from exc


def _triton_form(tensor: Any) -> tuple[str, tuple[int, ...]]:
    """Triton's data type and shape of a session's tensor; a dimension with a name is -1."""
    shape = tuple(size if isinstance(size, int) else -1 for size in tensor.shape)
    return _TRITON_TYPES.get(tensor.type, tensor.type), shape
