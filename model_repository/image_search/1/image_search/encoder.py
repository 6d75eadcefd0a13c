"""The model `hash_encoder`, called inside the server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from hashgrain.codes import EncoderContract, HashCodes
from hashgrain.codes.contract import ENCODER_MODEL
from hashgrain.codes.errors import ContractViolation, FingerprintMismatch, InferenceFailed
from hashgrain.codes.pbtxt import parse, read_encoder_contracts
from image_search.given import CODES, LOGITS
from image_search.pictures import Pictures, input_tensor

NEWEST = -1


@dataclass(frozen=True)
class Encoder:
    """The encoder of this server; see `find_encoder`.

    Attributes:
        contracts: what each version that is served says of itself, by its number.
        max_batch_size: most images of one request to it.
    """

    contracts: dict[int, EncoderContract]
    max_batch_size: int

    @cached_property
    def contract(self) -> EncoderContract:
        """Of the newest version; all take and give the same tensors."""
        return self.contracts[max(self.contracts)]

    def version_of(self, fingerprint: str | None) -> int:
        """The version that has a fingerprint; the newest for None.

        Raises:
            FingerprintMismatch: none has it.
        """
        if fingerprint is None:
            return max(self.contracts)
        for version, contract in self.contracts.items():
            if contract.fingerprint == fingerprint:
                return version
        served = ", ".join(contract.fingerprint for contract in self.contracts.values())
        raise FingerprintMismatch(
            f"the codes are of the model {fingerprint}, and {ENCODER_MODEL} serves {served}; encode anew"
        )

    def encode(self, batches: list[Pictures], version: int, logits: bool) -> list[HashCodes]:
        """Encode the pictures of several requests together.

        Args:
            batches: those of each.
            version: which of the versions encodes them.
            logits: whether those of both codes come along; each tensor takes its time.

        Returns:
            One HashCodes per batch.

        Raises:
            InferenceFailed: the model answered with an error.
        """
        if not batches:
            return []
        asked = version if len(self.contracts) > 1 else NEWEST  # of one that stands alone, the number may be unknown
        wanted = [*CODES, *(LOGITS if logits else [])]
        decoded = [pictures.decoded() for pictures in batches]
        if len(decoded) == 1 and len(decoded[0]) <= self.max_batch_size:  # nearly always, and quicker
            return [_infer(batches[0].tensor(), asked, wanted)]
        all_ = np.concatenate(decoded)
        parts = [all_[start : start + self.max_batch_size] for start in range(0, len(all_), self.max_batch_size)]
        codes = HashCodes.concatenate([_infer(input_tensor(part), asked, wanted) for part in parts])
        bounds = np.cumsum([0, *map(len, decoded)]).tolist()
        return [codes[start:stop] for start, stop in pairwise(bounds)]


def find_encoder(repository: Path) -> Encoder:
    """The hash encoder of a model repository.

    It is read once, when this model is loaded: a server that is told to load another hash_encoder must load
    image_search anew as well.

    Raises:
        ContractViolation: there is none, it keeps no contract, or it takes no pictures.
    """
    path = repository / ENCODER_MODEL / "config.pbtxt"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ContractViolation(
            f"image_search needs the model {ENCODER_MODEL} beside it, but {path} cannot be read ({exc.strerror}); "
            "write one with `hashgrain export`"
        ) from exc
    most = int(parse(text, str(path)).get("max_batch_size", ["0"])[0])
    if most < 1:
        raise ContractViolation(
            f"{path} has max_batch_size {most}, must be 1 or more; write it with `hashgrain export`"
        )
    encoder = Encoder(read_encoder_contracts(text, str(path)), most)
    if encoder.contract.takes_vectors:
        raise ContractViolation(
            f"{path}: {ENCODER_MODEL} takes {encoder.contract.input_words}, and image_search pictures; search with "
            "hashgrain.indexer.Index, or serve a model of pictures beside it"
        )
    return encoder


def _infer(pictures: Any, version: int, wanted: list[str]) -> HashCodes:
    request = pb_utils.InferenceRequest(
        model_name=ENCODER_MODEL,
        model_version=version,
        requested_output_names=wanted,
        inputs=[pictures],
        preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
    )
    response = request.exec()
    if response.has_error():
        raise InferenceFailed(
            f"{ENCODER_MODEL} answered with an error: {response.error().message()}; see the server's log"
        )
    return HashCodes(*(_output(response, name) for name in wanted))


def _output(response: Any, name: str) -> NDArray[Any]:
    """A copy: the tensor's own memory is given back with the response."""
    tensor = pb_utils.get_output_tensor_by_name(response, name)
    if tensor is None:
        raise ContractViolation(
            f"{ENCODER_MODEL} answered without {name}, as it does where Triton's response cache is on: take "
            f"response_cache out of {ENCODER_MODEL}'s config.pbtxt"
        )
    return np.array(tensor.as_numpy())
