"""Filters in the plainest way: what the masks over stored attributes must equal (see `filters`)."""

from __future__ import annotations

from collections.abc import Mapping
from operator import ge, gt, le, lt
from typing import Any

_RANGES = {"gt": gt, "gte": ge, "lt": lt, "lte": le}


def matches(payload: Mapping[str, Any] | None, node: Mapping[str, Any]) -> bool:
    """Whether an item with this payload is one that a filter, read from JSON, is about."""
    return all(_holds(payload or {}, key, value) for key, value in node.items())


def _holds(payload: Mapping[str, Any], key: str, value: Any) -> bool:
    if key == "and":
        return all(matches(payload, one) for one in value)
    if key == "or":
        return any(matches(payload, one) for one in value)
    if key == "not":
        return not matches(payload, value)
    found = payload.get(key)
    if isinstance(value, dict):
        return found is not None and all(_RANGES[name](found, bound) for name, bound in value.items())
    return found in (value if isinstance(value, list) else [value])
