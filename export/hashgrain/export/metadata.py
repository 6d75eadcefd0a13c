"""Fingerprint and metadata of an ONNX hash encoder."""

from __future__ import annotations

import dataclasses
import hashlib

import onnx

from hashgrain.codes.contract import EncoderContract


def fingerprint(model: onnx.ModelProto) -> str:
    """SHA-256 over graph, weights and operator sets, first 32 hex digits; metadata and names of tools do not count."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for name in ("metadata_props", "producer_name", "producer_version", "doc_string", "domain", "model_version"):
        bare.ClearField(name)
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()[:32]


def stamp(model: onnx.ModelProto, contract: EncoderContract) -> EncoderContract:
    """Write the contract, with the model's own fingerprint, into the model's metadata; returns that contract."""
    contract = dataclasses.replace(contract, fingerprint=fingerprint(model))
    onnx.helper.set_model_props(model, contract.to_metadata())
    return contract
