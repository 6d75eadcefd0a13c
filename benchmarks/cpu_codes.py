"""Whether two CPUs give one code: `python -m benchmarks.cpu_codes KEPT --model MODEL --data DIR`, then KEPT alone.

The first call encodes test pictures and keeps them, the model and the logits in the file KEPT; every other one, on
another CPU or under an emulator, encodes them again and says how many bits differ. An older CPU by qemu, which shows
the host's /proc/cpuinfo, so that the kernels have to be named (`--clipped` or `--exact`):

    PYTHONPATH=.venv/lib/python3.11/site-packages:. qemu-x86_64 -cpu Haswell $(readlink -f .venv/bin/python) \\
      -m benchmarks.cpu_codes KEPT --clipped
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hashgrain.codes.contract import COARSE_LOGITS, FINE_LOGITS, IMAGE
from hashgrain.codes.cpu_session import EXACT_PRODUCTS, session_options
from hashgrain.codes.onnx_model import find_model

BATCH = 4


def main() -> None:
    """Keep logits, or compare with those that were kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kept", type=Path)
    parser.add_argument("--model", type=Path, help="an exported model, to be kept")
    parser.add_argument("--data", help="pictures with a test split, some of which are kept")
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--exact", action="store_true", help="ask for kernels that clip no sums")
    parser.add_argument("--clipped", action="store_true", help="take whatever kernels ONNX Runtime takes by itself")
    arguments = parser.parse_args()
    if arguments.model is None:
        with np.load(arguments.kept) as kept:
            report(dict(kept), run(kept["model"].tobytes(), kept["pictures"], options(arguments)))
        return
    model = find_model(arguments.model)
    pictures = some_pictures(arguments.data, model, arguments.pictures)
    logits = run(model.read_bytes(), pictures, options(arguments))
    np.savez(arguments.kept, model=np.frombuffer(model.read_bytes(), np.uint8), pictures=pictures, **logits)
    print(f"{len(pictures)} pictures and their logits kept in {arguments.kept}")


def options(arguments: argparse.Namespace) -> onnxruntime.SessionOptions:
    """The settings that were asked for."""
    chosen = onnxruntime.SessionOptions() if arguments.clipped or arguments.exact else session_options()
    if arguments.exact:
        chosen.add_session_config_entry(*EXACT_PRODUCTS)
    return chosen


def some_pictures(data: str, model: Path, count: int) -> NDArray[np.uint8]:
    """Test pictures at the model's size, evenly spaced, uint8 (N, S, S, 3)."""
    from hashgrain.export.dataset import evenly_spaced
    from hashgrain.export.onnx_session import OnnxEncoder
    from hashgrain.export.readers import load

    pictures: NDArray[np.uint8] = evenly_spaced(load(data, "test", OnnxEncoder(model).input_size), count).images
    return pictures


def run(
    model: bytes, pictures: NDArray[np.uint8], chosen: onnxruntime.SessionOptions
) -> dict[str, NDArray[np.float32]]:
    """Logits of both levels, by name."""
    session = onnxruntime.InferenceSession(model, chosen, providers=["CPUExecutionProvider"])
    names = [COARSE_LOGITS, FINE_LOGITS]
    starts = range(0, len(pictures), BATCH)
    parts = [session.run(names, {IMAGE: pictures[start : start + BATCH]}) for start in starts]
    return {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(names)}


def report(kept: dict[str, NDArray[np.float32]], found: dict[str, NDArray[np.float32]]) -> None:
    """One line for each level."""
    for name, logits in found.items():
        differs = (logits > 0) != (kept[name] > 0)
        print(
            f"{name}: {differs.sum()} of {differs.size} bits differ ({differs.mean():.2%}), {differs.any(1).sum()} of "
            f"{len(differs)} codes; logits by {np.abs(logits - kept[name]).max():.3g} at most"
        )


if __name__ == "__main__":
    main()
