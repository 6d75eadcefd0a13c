"""The network of a finished run as an encoder, in PyTorch: measured without an export, on a GPU where there is one."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from hashgrain.codes import HashCodes
from hashgrain.export.inference import network_logits
from hashgrain.export.run_folder import RunFolder

BATCH = 1024


class RunEncoder:
    """Encodes in float32.

    Args:
        run: a finished run.
        device: where the network runs.

    Raises:
        TrainingError: the run has not ended.
    """

    def __init__(self, run: RunFolder, device: torch.device) -> None:
        network, _, _ = run.load_network()
        settings = run.settings()
        self.layout = settings.layout
        self.input_size = 0 if settings.vector_width else settings.input_size
        self.fingerprint = f"weights {weights_digest(network)}"
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device

    def encode(self, images: NDArray[Any], what: str = "pictures", progress: bool = False) -> HashCodes:
        """Encode prepared pictures, uint8 (N, S, S, 3), or vectors, float32 (N, D), with logits at both levels."""
        starts = tqdm(range(0, len(images), BATCH), desc=f"encoding {what}", unit="batch", disable=not progress)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # a GPU's shortcut would flip bits
            parts = [network_logits(self._network, images[n : n + BATCH], self._device) for n in starts]
        coarse, fine = (np.concatenate(level) for level in zip(*parts, strict=True))
        return HashCodes.from_logits(coarse, fine)


def weights_digest(network: torch.nn.Module) -> str:
    """SHA-256 over all weights and buffers in their order, first 32 hex digits."""
    digest = hashlib.sha256()
    for value in network.state_dict().values():
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
