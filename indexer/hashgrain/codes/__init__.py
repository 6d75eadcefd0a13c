"""The language that all parts of hashgrain share: code layout, packing, Hamming distance, tensor contract, errors."""

from hashgrain.codes.contract import EncoderContract
from hashgrain.codes.errors import HashgrainError
from hashgrain.codes.hamming import hamming, popcount
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.codes.packing import pack_logits, unpack_bits

__all__ = [
    "CodeLayout",
    "EncoderContract",
    "HashCodes",
    "HashgrainError",
    "hamming",
    "pack_logits",
    "popcount",
    "unpack_bits",
]
