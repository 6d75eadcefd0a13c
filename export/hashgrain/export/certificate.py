"""The certificate: how far the exported graph's codes are from those of the network it was made from.

On real pictures, both encode; what counts is the share of bits that differ. A bit can flip only where its logit is
near zero, so the certificate also says how near the flipped ones were, beside what the logits measure at large.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hashgrain.codes.errors import CertificateError
from hashgrain.export.inference import network_logits
from hashgrain.export.network import HashNetwork
from hashgrain.export.onnx_session import OnnxEncoder

DEFAULT_LIMIT = 2e-3


@dataclass(frozen=True)
class LevelCertificate:
    """Differences at one level, over all pictures.

    Attributes:
        bits: bits compared, pictures * code length.
        differing: bits that differ.
        differing_share: differing / bits.
        per_bit: share of pictures for which each bit differs, first bit first.
        largest_flipped_logit: the greatest |PyTorch logit| of a bit that differs, 0 where none does.
        median_logit: the median |PyTorch logit| over all bits, for scale.
        largest_logit_difference: the greatest |ONNX logit - PyTorch logit|.
    """

    bits: int
    differing: int
    differing_share: float
    per_bit: tuple[float, ...]
    largest_flipped_logit: float
    median_logit: float
    largest_logit_difference: float


@dataclass(frozen=True)
class Certificate:
    """What was compared, on what, and what came out."""

    fingerprint: str
    pictures: int
    source: str
    limit: float
    torch: str
    onnxruntime: str
    coarse: LevelCertificate
    fine: LevelCertificate

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    def summary(self) -> str:
        """One line for people."""
        levels = (
            f"{name}: {level.differing} of {level.bits:,} bits differ ({level.differing_share:.4%}, "
            f"|logit| up to {level.largest_flipped_logit:.4f}, median {level.median_logit:.2f})"
            for name, level in (("coarse", self.coarse), ("fine", self.fine))
        )
        return f"{self.pictures} pictures, PyTorch against ONNX Runtime; " + "; ".join(levels)


def certify(
    network: HashNetwork, model: Path, images: NDArray[Any], source: str, limit: float = DEFAULT_LIMIT
) -> Certificate:
    """Compare codes of the network in PyTorch and of the exported file in ONNX Runtime.

    Args:
        network: the trained network.
        model: the exported model.onnx.
        images: real pictures, uint8 (N, S, S, 3), or vectors, float32 (N, D).
        source: where they are from.
        limit: greatest share of differing bits, at each level, that is let pass.

    Raises:
        CertificateError: a level exceeds the limit. Nothing was changed; the export should not be used.
    """
    import onnxruntime

    encoder = OnnxEncoder(model)
    exported = encoder.encode(images)
    coarse, fine = network_logits(network, images, torch.device("cpu"))
    assert exported.coarse_logits is not None
    assert exported.fine_logits is not None
    certificate = Certificate(
        fingerprint=encoder.contract.fingerprint,
        pictures=len(images),
        source=source,
        limit=limit,
        torch=torch.__version__,
        onnxruntime=onnxruntime.__version__,
        coarse=compare_logits(coarse, exported.coarse, exported.coarse_logits),
        fine=compare_logits(fine, exported.fine, exported.fine_logits),
    )
    for name, level in (("coarse", certificate.coarse), ("fine", certificate.fine)):
        if level.differing_share > limit:
            worst = int(np.argmax(level.per_bit))
            raise CertificateError(
                f"{level.differing_share:.3%} of the {name} bits differ between PyTorch and ONNX Runtime on "
                f"{len(images)} pictures, the limit is {limit:.3%}; worst is bit {worst} ({level.per_bit[worst]:.3%}); "
                "export with --full-precision, or raise --limit if you accept it"
            )
    return certificate


def compare_logits(
    reference: NDArray[np.float32], packed: NDArray[np.uint8], exported: NDArray[np.float32]
) -> LevelCertificate:
    """Compare one level: PyTorch's logits (N, bits) with the exported graph's packed codes and logits."""
    bits = reference.shape[1]
    differs = (reference > 0) != np.unpackbits(packed, axis=1, count=bits).astype(bool)
    magnitude = np.abs(reference)
    return LevelCertificate(
        bits=differs.size,
        differing=int(differs.sum()),
        differing_share=float(differs.mean()),
        per_bit=tuple(round(float(share), 6) for share in differs.mean(0)),
        largest_flipped_logit=float(magnitude[differs].max(initial=0)),
        median_logit=float(np.median(magnitude)),
        largest_logit_difference=float(np.abs(exported - reference).max()),
    )
