"""Payloads: what an item carries beside its codes, a JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hashgrain.codes.errors import IndexCorrupt, InvalidInput

Payload = dict[str, Any]

LARGEST_PAYLOAD = 1 << 20
"""Bytes that a payload may take as JSON: what an item carries is read with every answer that it is in."""


def encode_payloads(payloads: Sequence[Mapping[str, Any] | None] | None, ids: Sequence[object]) -> list[bytes]:
    """Encode one payload per item as JSON; empty bytes where an item has none.

    Args:
        payloads: one dict (or None) per item, or None for no payloads at all.
        ids: the items' ids, for the messages.

    Raises:
        InvalidInput: another number of payloads than ids, or one that JSON cannot hold.
    """
    if payloads is None:
        return [b""] * len(ids)
    if isinstance(payloads, Mapping | str | bytes) or not isinstance(payloads, Sequence):
        raise InvalidInput(f"payloads must be a list with one dict or None per item, got {type(payloads).__name__}")
    if len(payloads) != len(ids):
        raise InvalidInput(f"got {len(ids)} ids and {len(payloads)} payloads; give one payload (or None) per id")
    return [b"" if item is None else _encode(item, name) for item, name in zip(payloads, ids, strict=True)]


def decode_payload(stored: bytes | None, key: str) -> Payload | None:
    """The payload that was stored under `key`.

    Raises:
        IndexCorrupt: it is no JSON object.
    """
    if stored is None:
        return None
    try:
        payload = json.loads(stored)
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        raise IndexCorrupt(f"{key} holds a payload that is no JSON object; add its item again")
    return payload


def _encode(payload: object, name: object) -> bytes:
    if not isinstance(payload, Mapping):
        raise InvalidInput(f"the payload of item {name!r} is of type {type(payload).__name__}; give a dict or None")
    wrong = next((key for key in payload if not isinstance(key, str)), None)
    if wrong is not None:
        raise InvalidInput(f"the payload of item {name!r} has the key {wrong!r}; keys must be strings")
    try:
        encoded = json.dumps(dict(payload), ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidInput(f"the payload of item {name!r} cannot be written as JSON: {exc}") from exc
    if len(encoded) > LARGEST_PAYLOAD:
        raise InvalidInput(
            f"the payload of item {name!r} takes {len(encoded):,} bytes as JSON, at most {LARGEST_PAYLOAD:,} are "
            "allowed; keep large things elsewhere and their address in the payload"
        )
    return encoded
