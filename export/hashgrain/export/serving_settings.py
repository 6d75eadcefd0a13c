"""How Triton runs the encoder: the settings that become config.pbtxt. `serving_profiles` holds the ready-made ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hashgrain.codes.errors import InvalidInput


@dataclass(frozen=True)
class QueuePolicy:
    """What may wait at one priority.

    Attributes:
        max_queue_size: most requests that wait; one more is rejected.
        timeout_s: seconds after which one that waits is rejected; a request may ask for less.
    """

    max_queue_size: int
    timeout_s: float

    def __post_init__(self) -> None:
        if self.max_queue_size < 1 or not 0 < self.timeout_s < 1e9:
            raise InvalidInput(
                f"a queue holds at least 1 request for more than 0 seconds, got max_queue_size {self.max_queue_size} "
                f"and timeout_s {self.timeout_s}"
            )


@dataclass(frozen=True)
class Accelerator:
    """An execution accelerator of the ONNX Runtime backend.

    Attributes:
        name: "cuda" or "tensorrt".
        parameters: its settings; {fingerprint}, {size} and {most} stand for the first 12 digits of the model's
            fingerprint, its input's side in pixels, and max_batch_size.
        because: why, for the file.
        engine_cache: whether it keeps compiled engines on disk.
    """

    name: str
    parameters: Mapping[str, str]
    because: str
    engine_cache: bool = False


@dataclass(frozen=True)
class ServingSettings:
    """How Triton runs the encoder.

    Attributes:
        profile: the name that the file gives of itself.
        purpose, batches_because, instances_because, delay_because, parameters_because: comments for the file.
        max_batch_size: most images of one execution; the exported graph takes any number.
        preferred_batch_sizes: sizes at which the batcher runs without waiting; none for as many as there are.
        max_queue_delay_us: microseconds that the dynamic batcher waits for company before it runs a smaller batch.
        online, bulk: what may wait, at either priority.
        instances: copies of the model per device.
        kind: KIND_AUTO takes a GPU where there is one; KIND_GPU fails to load without; KIND_CPU never takes one.
        warmup: batch sizes that are run before the model is ready; by default 1 and max_batch_size.
        accelerators: execution accelerators of a GPU.
        parameters: the backend's own `parameters`, beside the contract's.

    Raises:
        InvalidInput: a value that Triton would refuse.
    """

    profile: str = "cpu"
    purpose: str = ""
    batches_because: str = ""
    instances_because: str = ""
    delay_because: str = ""
    parameters_because: str = ""
    max_batch_size: int = 128
    preferred_batch_sizes: tuple[int, ...] = ()
    max_queue_delay_us: int = 0
    online: QueuePolicy = QueuePolicy(256, 10)
    bulk: QueuePolicy = QueuePolicy(256, 60)
    instances: int = 1
    kind: str = "KIND_AUTO"
    warmup: tuple[int, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.max_batch_size < 1 or self.instances < 1 or self.max_queue_delay_us < 0:
            raise InvalidInput(
                f"max_batch_size {self.max_batch_size} and instances {self.instances} must be at least 1, "
                f"max_queue_delay_us {self.max_queue_delay_us} at least 0"
            )
        if self.kind not in ("KIND_AUTO", "KIND_GPU", "KIND_CPU"):
            raise InvalidInput(f"kind must be KIND_AUTO, KIND_GPU or KIND_CPU, got {self.kind}")
        if not self.warmup:
            object.__setattr__(self, "warmup", tuple(sorted({1, self.max_batch_size})))
        for size in (*self.warmup, *self.preferred_batch_sizes):
            if not 1 <= size <= self.max_batch_size:
                raise InvalidInput(f"a batch of {size} is not between 1 and max_batch_size {self.max_batch_size}")
