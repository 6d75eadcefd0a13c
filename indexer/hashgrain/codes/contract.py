"""The contract between an exported hashing network and everyone who runs it.

Tensors of the model `hash_encoder` (B images of S x S pixels):

    in   image          UINT8 [B, S, S, 3]          RGB, 0 to 255; normalisation is inside the graph
    out  coarse_code    UINT8 [B, ceil(nc / 8)]     packed bits, see `packing`
    out  fine_code      UINT8 [B, nf / 8]
    out  coarse_logits  FP32  [B, nc]               bit j is 1 where logit j > 0
    out  fine_logits    FP32  [B, nf]

A model of vectors, for embeddings that another network makes, takes in place of pictures

    in   vector         FP32  [B, D]                any length; normalisation is inside the graph

and says `vector_width` where a model of pictures says `input_size`.

The ONNX metadata and the `parameters` of config.pbtxt both carry the same strings, under the keys below. Where several
versions of the model are served side by side, config.pbtxt carries the newest one's, and what is of one version alone
(fingerprint and class names; the tensors are the same) under `hashgrain.VERSION.KEY`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import ContractViolation, InvalidInput
from hashgrain.codes.layout import CodeLayout

ENCODER_MODEL = "hash_encoder"
SEARCH_MODEL = "image_search"

IMAGE = "image"
VECTOR = "vector"
COARSE_CODE = "coarse_code"
FINE_CODE = "fine_code"
COARSE_LOGITS = "coarse_logits"
FINE_LOGITS = "fine_logits"

CONTRACT_VERSION = 1

ONLINE, BULK = 1, 2
"""Triton's priority levels of requests to the model: single ones first, those of a collection when there is time."""

_PREFIX = "hashgrain."
_VECTOR_WIDTH = f"{_PREFIX}vector_width"
_OF_ONE_VERSION = ("fingerprint", "fine_classes", "coarse_classes")


@dataclass(frozen=True)
class EncoderContract:
    """What a hash encoder says of itself.

    Attributes:
        layout: the code lengths.
        input_size: S, the side of the square input in pixels; 0 for a model of vectors.
        fingerprint: hex digest over graph and weights; codes are comparable only where it is equal.
        fine_classes: names of the classes that the fine code was trained on, or empty.
        coarse_classes: names of the superclasses that the coarse code was trained on, or empty.
        vector_width: D, the width of the vectors; 0 for a model of pictures.

    Raises:
        InvalidInput: not just one of input_size and vector_width is above 0.
    """

    layout: CodeLayout
    input_size: int
    fingerprint: str
    fine_classes: tuple[str, ...] = field(default=(), repr=False)
    coarse_classes: tuple[str, ...] = field(default=(), repr=False)
    vector_width: int = 0

    def __post_init__(self) -> None:
        if min(self.input_size, self.vector_width) != 0 or max(self.input_size, self.vector_width) < 1:
            raise InvalidInput(
                f"a model takes pictures of some size or vectors of some width, got input_size {self.input_size} and "
                f"vector_width {self.vector_width}; one of them must be above 0, the other 0"
            )

    @property
    def takes_vectors(self) -> bool:
        """Whether the input is float vectors, not pictures."""
        return self.vector_width > 0

    @property
    def input_name(self) -> str:
        """The input tensor."""
        return VECTOR if self.takes_vectors else IMAGE

    @property
    def input_words(self) -> str:
        """What the model takes, for people: ``96 x 96 pixels``, ``vectors of 512``."""
        if self.takes_vectors:
            return f"vectors of {self.vector_width}"
        return f"{self.input_size} x {self.input_size} pixels"

    def to_metadata(self) -> dict[str, str]:
        """The contract as the strings that ONNX metadata and config.pbtxt carry."""
        return {
            f"{_PREFIX}contract": str(CONTRACT_VERSION),
            f"{_PREFIX}coarse_bits": str(self.layout.coarse_bits),
            f"{_PREFIX}fine_bits": str(self.layout.fine_bits),
            **self._input_metadata(),
            f"{_PREFIX}fingerprint": self.fingerprint,
            f"{_PREFIX}fine_classes": json.dumps(self.fine_classes, ensure_ascii=True),
            f"{_PREFIX}coarse_classes": json.dumps(self.coarse_classes, ensure_ascii=True),
        }

    def _input_metadata(self) -> dict[str, str]:
        if self.takes_vectors:
            return {_VECTOR_WIDTH: str(self.vector_width)}
        return {f"{_PREFIX}input_size": str(self.input_size)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str, version: str = "") -> EncoderContract:
        """Read the contract back; other keys are left alone.

        Args:
            metadata: strings by key, as `to_metadata` or `contracts_to_metadata` makes them.
            source: where they were read, for the messages.
            version: of the model, where the strings may be of several.

        Raises:
            ContractViolation: a key is missing, has a value that cannot be read, or another contract version; or the
                strings are of several versions of the model, and not of this one.
        """
        known = versions_in(metadata)
        if version and known and int(version) not in known:
            raise ContractViolation(
                f"{source} carries the contracts of versions {', '.join(map(str, known))}, none of version {version}; "
                "export again with `hashgrain export`"
            )

        def get(key: str) -> str:
            if (own := f"{_PREFIX}{version}.{key}") in metadata:
                return metadata[own]
            try:
                return metadata[_PREFIX + key]
            except KeyError:
                raise ContractViolation(
                    f"{source} carries no {_PREFIX}{key}: it is not a hash encoder; export one with `hashgrain export`"
                ) from None

        followed = get("contract")
        if followed != str(CONTRACT_VERSION):
            raise ContractViolation(
                f"{source} follows contract version {followed}, this code knows {CONTRACT_VERSION}; "
                "use the hashgrain release that exported it, or export it again"
            )
        vectors = _VECTOR_WIDTH in metadata
        try:
            return cls(
                layout=CodeLayout(int(get("coarse_bits")), int(get("fine_bits"))),
                input_size=0 if vectors else int(get("input_size")),
                fingerprint=get("fingerprint"),
                fine_classes=tuple(json.loads(get("fine_classes"))),
                coarse_classes=tuple(json.loads(get("coarse_classes"))),
                vector_width=int(metadata[_VECTOR_WIDTH]) if vectors else 0,
            )
        except (ValueError, InvalidInput) as exc:
            raise ContractViolation(f"{source} carries metadata that cannot be read ({exc}); export it again") from exc

    def tensors(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Triton data type and shape of every tensor, the batch dimension as -1."""
        size, layout = self.input_size, self.layout
        return {
            self.input_name: ("FP32", (-1, self.vector_width))
            if self.takes_vectors
            else ("UINT8", (-1, size, size, 3)),
            COARSE_CODE: ("UINT8", (-1, layout.coarse_bytes)),
            FINE_CODE: ("UINT8", (-1, layout.fine_bytes)),
            COARSE_LOGITS: ("FP32", (-1, layout.coarse_bits)),
            FINE_LOGITS: ("FP32", (-1, layout.fine_bits)),
        }

    def check_tensors(self, found: Mapping[str, tuple[str, tuple[int, ...]]], source: str) -> None:
        """Compare a model's tensors with the contract's.

        Args:
            found: Triton data type and shape by tensor name, the batch dimension as -1.
            source: where they were read, for the message.

        Raises:
            ContractViolation: a tensor is missing, or has another type or shape.
        """
        for name, (dtype, shape) in self.tensors().items():
            if name not in found:
                raise ContractViolation(
                    f"{source} has no tensor {name}, only {sorted(found)}; export with `hashgrain export`"
                )
            if found[name] != (dtype, shape):
                raise ContractViolation(
                    f"{source}: tensor {name} is {found[name][0]} {list(found[name][1])}, the contract says "
                    f"{dtype} {list(shape)}; export it again with `hashgrain export`"
                )


def contracts_to_metadata(contracts: Mapping[int, EncoderContract]) -> dict[str, str]:
    """The strings that config.pbtxt carries for versions of one model, by their numbers: the newest one's, and what is
    of one version alone where there are several."""
    newest = contracts[max(contracts)].to_metadata()
    if len(contracts) == 1:
        return newest
    own = {
        f"{_PREFIX}{version}.{key}": metadata[_PREFIX + key]
        for version, metadata in ((version, contract.to_metadata()) for version, contract in sorted(contracts.items()))
        for key in _OF_ONE_VERSION
        if key == "fingerprint" or metadata[_PREFIX + key] != newest[_PREFIX + key]
    }
    return {**newest, **own}


def versions_in(metadata: Mapping[str, str]) -> list[int]:
    """Numbers of the versions whose contracts the strings carry, ascending; none where they are of one version only."""
    keys = (key.removeprefix(_PREFIX).partition(".") for key in metadata if key.startswith(_PREFIX))
    return sorted(int(version) for version, _, key in keys if version.isdecimal() and key == "fingerprint")


def input_tensor(batch: NDArray[Any]) -> tuple[str, str]:
    """Name and Triton data type of the input that a batch is: pictures are uint8, vectors float32."""
    return (IMAGE, "UINT8") if batch.dtype == np.uint8 else (VECTOR, "FP32")
