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

_TRITON_TYPES = {"tensor(uint8)": "UINT8", "tensor(float)": "FP32"}
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_ONLY_FATAL = 4
_EXACT_PRODUCTS = ("session.x64quantprecision", "1")
_VNNI = ("avx512_vnni", "avx_vnni")
_CPU = Path("/proc/cpuinfo")


class OnnxModel:
    """A hash encoder in this process, on a GPU where ONNX Runtime has one. Threads may share it.

    Args:
        path: see `find_model`.
        threads: how many compute; by default ONNX Runtime's choice, one for each core.

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
        except ImportError as exc:
            raise MissingDependency(
                'onnxruntime is not installed; install it with: pip install "hashgrain[cpu]" (or [gpu])'
            ) from exc
        self.path = find_model(path)
        self.runtime_version: str = onnxruntime.__version__
        options = session_options()
        options.log_severity_level = _ONLY_FATAL  # what goes wrong comes as an exception too
        options.intra_op_num_threads = threads or 0
        available = set(onnxruntime.get_available_providers())
        providers = [name for name in _PROVIDERS if name in available]
        with load_errors(str(self.path)):
            self._session = onnxruntime.InferenceSession(str(self.path), options, providers=providers)
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
            return dict(zip(outputs, self._session.run(list(outputs), {name: batch}), strict=True))

    def _checked_contract(self) -> EncoderContract:
        session, source = self._session, str(self.path)
        contract = EncoderContract.from_metadata(session.get_modelmeta().custom_metadata_map, source)
        tensors = (*session.get_inputs(), *session.get_outputs())
        contract.check_tensors({tensor.name: _triton_form(tensor) for tensor in tensors}, source)
        return contract


def session_options() -> Any:
    """ONNX Runtime's settings, with which an 8-bit model gives the same codes on every x86-64 CPU.

    A CPU without VNNI adds two products of 8-bit integers in 16 bits and clips the sum, unless ONNX Runtime is told to
    take its slower kernels. Where there is VNNI they would be slower and no more exact.

    Returns:
        A new onnxruntime.SessionOptions.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if not _has_vnni():
        options.add_session_config_entry(*_EXACT_PRODUCTS)
    return options


def _has_vnni() -> bool:
    try:
        return any(flag in _CPU.read_text() for flag in _VNNI)
    except OSError:  # no Linux; the exact kernels are right everywhere
        return False


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
            f"{source} cannot be loaded by ONNX Runtime ({_first_line(exc)}); export it again with `hashgrain export`"
        ) from exc


@contextmanager
def run_errors(source: str) -> Iterator[None]:
    """Translate what ONNX Runtime raises on running a model."""
    try:
        yield
    except Exception as exc:
        raise InferenceFailed(f"ONNX Runtime failed on {source}: {_first_line(exc)}") from exc


def _first_line(exc: Exception) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]


def _triton_form(tensor: Any) -> tuple[str, tuple[int, ...]]:
    """Triton's data type and shape of a session's tensor; a dimension with a name is -1."""
    shape = tuple(size if isinstance(size, int) else -1 for size in tensor.shape)
    return _TRITON_TYPES.get(tensor.type, tensor.type), shape
