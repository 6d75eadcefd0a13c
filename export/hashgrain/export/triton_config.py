"""config.pbtxt of the `hash_encoder` model, written from dataclasses so that it can be tested to the letter.

The file is understood alike by Triton's native ONNX Runtime backend (NVIDIA's image) and by the python-based backend
of the same name that the embedded server uses. Field names and meanings: Triton's model_config.proto.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hashgrain.codes.contract import ENCODER_MODEL, EncoderContract
from hashgrain.codes.errors import InvalidInput


@dataclass(frozen=True)
class ServingSettings:
    """How Triton runs the encoder.

    Attributes:
        max_batch_size: most images of one execution; the exported graph takes any number.
        max_queue_delay_us: microseconds that the dynamic batcher waits for company before it runs a smaller batch.
        instances: copies of the model per device.
        kind: KIND_AUTO takes a GPU where there is one; KIND_GPU fails to load without; KIND_CPU never takes one.
        extra_parameters: further `parameters`, merged after the contract's own.
    """

    max_batch_size: int = 128
    max_queue_delay_us: int = 500
    instances: int = 1
    kind: str = "KIND_AUTO"
    extra_parameters: dict[str, str] = field(default_factory=lambda: {"cudnn_conv_algo_search": "1"})
    # "1" is HEURISTIC. Where an accelerator block stands without this key, the native backend falls to EXHAUSTIVE,
    # which searches anew for every batch shape.

    def __post_init__(self) -> None:
        if self.max_batch_size < 1 or self.instances < 1 or self.max_queue_delay_us < 0:
            raise InvalidInput(
                f"max_batch_size {self.max_batch_size} and instances {self.instances} must be at least 1, "
                f"max_queue_delay_us {self.max_queue_delay_us} at least 0"
            )
        if self.kind not in ("KIND_AUTO", "KIND_GPU", "KIND_CPU"):
            raise InvalidInput(f"kind must be KIND_AUTO, KIND_GPU or KIND_CPU, got {self.kind}")


def encoder_config(contract: EncoderContract, settings: ServingSettings | None = None) -> str:
    """The text of config.pbtxt for a hash encoder."""
    settings = settings or ServingSettings()
    outputs = contract.tensors()
    inputs = {contract.input_name: outputs.pop(contract.input_name)}
    parameters = {**contract.to_metadata(), **settings.extra_parameters}
    blocks = [
        "# Written by `hashgrain export`: edit the export's settings, not this file.",
        f"name: {_quote(ENCODER_MODEL)}",
        'backend: "onnxruntime"',
        f"max_batch_size: {settings.max_batch_size}",
        _tensor_list("input", inputs),
        _tensor_list("output", outputs),
        f"instance_group [ {{ count: {settings.instances} kind: {settings.kind} }} ]",
        f"dynamic_batching {{ max_queue_delay_microseconds: {settings.max_queue_delay_us} }}",
        "version_policy { latest { num_versions: 1 } }",
        *(
            f"parameters {{ key: {_quote(key)} value: {{ string_value: {_quote(value)} }} }}"
            for key, value in parameters.items()
        ),
    ]
    return "\n".join(blocks) + "\n"


def _tensor_list(kind: str, tensors: dict[str, tuple[str, tuple[int, ...]]]) -> str:
    rows = [
        f"  {{ name: {_quote(name)} data_type: TYPE_{dtype} dims: [ {', '.join(map(str, shape[1:]))} ] }}"
        for name, (dtype, shape) in tensors.items()
    ]
    return f"{kind} [\n" + ",\n".join(rows) + "\n]"


def _quote(text: str) -> str:
    """A protobuf text-format string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
