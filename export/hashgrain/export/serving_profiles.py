"""The profiles of `hashgrain export --profile`: one way to run the encoder for each kind of node, and why."""

from __future__ import annotations

from dataclasses import replace

from hashgrain.codes.errors import InvalidInput
from hashgrain.export.serving_settings import Accelerator, QueuePolicy, ServingSettings

DEFAULT_PROFILE = "cpu"
"""It serves everywhere: on the embedded server, on Triton without a GPU, and plainly on one with a GPU."""

ENGINES = "/var/cache/hashgrain/tensorrt"
"""Where the profile tensorrt keeps compiled engines, on Triton's node."""

_CUDNN = (
    "A trap: because the contract's parameters stand below, the native backend also reads CUDA's own from here, after "
    "those of the accelerator, and takes its default for each that is missing. cudnn_conv_algo_search would become 0 "
    "(EXHAUSTIVE: the first batch of every size tries all algorithms); 1 is HEURISTIC."
)
_MEMORY = (
    " gpu_mem_limit is of each instance's arena in bytes (none by default); arena_extend_strategy 1 lets it grow by "
    "what is asked for instead of by doubling, so that instances and other models fit beside each other."
)
_GPU_INSTANCES = (
    "KIND_GPU: without a usable GPU the model does not load, instead of running on the CPU unnoticed. While one "
    "instance computes, the other's pictures are copied."
)
_GPU_DELAY = "A lone request waits .1 ms for company: on a GPU a batch of 16 costs little more than one picture."
_GPU_WARMUP = (1, 2, 4, 8, 16, 32, 64, 128)

CPU = ServingSettings(
    profile="cpu",
    purpose=(
        "cpu: for nodes without a GPU, and the default, since it serves everywhere. Where there is a GPU, the profiles "
        "gpu and tensorrt use it better."
    ),
    batches_because=(
        "A core encodes 16 pictures at a time as cheaply as 128. A single query waits for a batch that runs, so small "
        "batches keep queries quick beside bulk encoding. On many cores, or where only collections are encoded, export "
        "with --max-batch-size 64 or 128."
    ),
    instances_because=(
        "Three, so that one is nearly always free: where a queue has priorities or limits, Triton takes no notice of "
        "a request that comes while every instance is at work and the queue is empty, until another comes or half a "
        "second has passed. Each takes half of the cores of the embedded server; for NVIDIA's image on a CPU add the "
        "parameter intra_op_thread_count, half of the cores. KIND_AUTO takes a GPU where there is one."
    ),
    delay_because="Nobody waits for company: what queues up during a batch makes the next.",
    parameters_because=_CUDNN,
    max_batch_size=16,
    instances=3,
    online=QueuePolicy(256, 10),
    bulk=QueuePolicy(256, 60),
    parameters={"cudnn_conv_algo_search": "1"},
)

GPU = ServingSettings(
    profile="gpu",
    purpose=(
        "gpu: for NVIDIA GPUs, by ONNX Runtime's CUDA provider, in FP32 as the certificate was written. Against cpu: "
        "large batches, two instances, a short wait for company, limits to memory, a warm-up for every power of two."
    ),
    batches_because="A GPU is filled by large batches only.",
    instances_because=_GPU_INSTANCES,
    delay_because=_GPU_DELAY,
    parameters_because=_CUDNN + _MEMORY,
    max_queue_delay_us=100,
    online=QueuePolicy(1024, 2),
    bulk=QueuePolicy(256, 60),
    instances=2,
    kind="KIND_GPU",
    warmup=_GPU_WARMUP,
    accelerators=(
        Accelerator(
            name="cuda",
            parameters={"use_tf32": "0"},
            because=(
                "TF32 rounds to 10 bits of mantissa, which turns over bits whose logits are nearly 0; without it codes "
                "are as certified. A collection that is encoded and searched on such GPUs alone may switch it on."
            ),
        ),
    ),
    parameters={
        "cudnn_conv_algo_search": "1",
        "gpu_mem_limit": str(4 << 30),
        "arena_extend_strategy": "1",
    },
)

TENSORRT = replace(
    GPU,
    profile="tensorrt",
    purpose=(
        "tensorrt: for NVIDIA GPUs, by TensorRT in FP16. Against gpu: the graph is compiled into an engine for this "
        "very GPU, which takes minutes at the first start and is kept on disk; sizes preferred by the engine. FP16 "
        "turns over bits whose logits are nearly 0: encode a collection and its queries by the same profile, and "
        "compare `hashgrain evaluate` before relying on it."
    ),
    preferred_batch_sizes=(32, 128),
    accelerators=(
        Accelerator(
            name="tensorrt",
            parameters={
                "precision_mode": "FP16",
                "max_workspace_size_bytes": str(1 << 30),
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": ENGINES,
                "trt_engine_cache_prefix": "hash_encoder_{fingerprint}",
                "trt_timing_cache_enable": "1",
                "trt_timing_cache_path": ENGINES,
                "trt_profile_min_shapes": "image:1x{size}x{size}x3",
                "trt_profile_opt_shapes": "image:{most}x{size}x{size}x3",
                "trt_profile_max_shapes": "image:{most}x{size}x{size}x3",
            },
            because=(
                f"Mount a volume at {ENGINES}, writable for Triton's user: without the cache every instance compiles "
                "anew at every start. The prefix is the model's fingerprint, since ONNX Runtime knows engines by their "
                "graph, not by its weights: a new model would run on the old one's engine. The shapes span all batches "
                "that can come; one outside of them would be compiled while its caller waits."
            ),
            engine_cache=True,
        ),
    ),
    parameters_because="For what TensorRT leaves to CUDA. " + _CUDNN + _MEMORY,
)

PROFILES = {settings.profile: settings for settings in (CPU, GPU, TENSORRT)}


def profile(name: str, max_batch_size: int | None = None) -> ServingSettings:
    """The settings of a profile.

    Args:
        name: "cpu", "gpu" or "tensorrt".
        max_batch_size: another than the profile's; sizes that are run beforehand follow.

    Raises:
        InvalidInput: there is no such profile, or the number is below 1.
    """
    if name not in PROFILES:
        raise InvalidInput(f"the profiles are {', '.join(PROFILES)}; got {name!r}")
    chosen = PROFILES[name]
    if max_batch_size is None:
        return chosen
    return replace(
        chosen,
        max_batch_size=max_batch_size,
        warmup=(*(size for size in chosen.warmup if size < max_batch_size), max(max_batch_size, 1)),
        preferred_batch_sizes=tuple(size for size in chosen.preferred_batch_sizes if size <= max_batch_size),
    )
