"""Filters: which items a search is about, by the fields of the index (see `fields`).

    {"tenant": "acme", "price": {"gte": 10, "lt": 20}}             both hold
    {"category": ["shoes", "boots"]}                               one of these
    {"or": [{"sold": false}, {"not": {"year": {"lt": 2020}}}]}     one of these hold; "and" and "not" likewise
    {"price": null}                                                the item has no price

Ranges (`gt`, `gte`, `lt`, `lte`) are for numbers and integers. An item that lacks a field matches no value and no range
of it; so what stands under "not" may match it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer.stored.fields import NO_BOOLEAN, NO_INTEGER, Fields, Kind, stored_value

_RANGES = {"gt": np.greater, "gte": np.greater_equal, "lt": np.less, "lte": np.less_equal}
_JOINED = {"and": np.logical_and, "or": np.logical_or}

DEEPEST = 16
"""How deep "and", "or" and "not" may stand in each other."""

MOST_BYTES = 1 << 16
"""Bytes that a filter may take as JSON."""


@dataclass(frozen=True)
class Filter:
    """A filter, well-formed; two that are equal as JSON are equal.

    Args:
        text: the filter as JSON, keys sorted.
    """

    text: str

    @classmethod
    def of(cls, given: Mapping[str, Any] | Filter) -> Filter:
        """A filter as a user writes it.

        Raises:
            InvalidInput: it is none.
        """
        if isinstance(given, Filter):
            return given
        try:
            text = json.dumps(given, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as exc:
            raise InvalidInput(f"a filter must be what JSON can hold: {exc}") from exc
        if len(text) > MOST_BYTES:
            raise InvalidInput(f"a filter takes {len(text):,} bytes as JSON, at most {MOST_BYTES:,} are allowed")
        made = cls(text)
        _require_node(made.node, 0)
        return made

    @classmethod
    def parse(cls, text: str) -> Filter:
        """A filter given as JSON.

        Raises:
            InvalidInput: it is none.
        """
        try:
            given = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise InvalidInput(f"the filter {text!r:.100} is no JSON: {exc}") from exc
        return cls.of(given)

    @cached_property
    def node(self) -> Any:
        """The filter as JSON reads it."""
        return json.loads(self.text)

    def require(self, fields: Fields, holder: str) -> None:
        """Refuse a filter by fields that an index does not have, or by values of another kind.

        Raises:
            InvalidInput: see above; the message names what the index has.
        """
        _require_kinds(self.node, fields, holder)

    def mask(self, attributes: NDArray[np.uint8], fields: Fields) -> NDArray[np.bool_]:
        """Which of some records match, bool (N,).

        Args:
            attributes: uint8 (N, bytes), of the records.
            fields: of the index, which have been found to be those of the filter.
        """
        rows = np.ascontiguousarray(attributes).view(fields.type).ravel()
        return _mask(self.node, rows, fields)


def _require_node(node: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise InvalidInput(f"a filter stands more than {DEEPEST} deep in itself; write it flatter")
    if not isinstance(node, dict) or not node:
        raise InvalidInput(
            f'a filter is an object such as {{"price": {{"lt": 20}}}} of one key or more, got {json.dumps(node)[:100]}'
        )
    for key, value in node.items():
        if key in _JOINED:
            if not isinstance(value, list) or not value:
                raise InvalidInput(f'"{key}" takes a list of filters, got {json.dumps(value)[:100]}')
            for one in value:
                _require_node(one, depth + 1)
        elif key == "not":
            _require_node(value, depth + 1)
        else:
            _require_condition(key, value)


def _require_condition(field: str, condition: Any) -> None:
    if isinstance(condition, dict):
        if not condition or not set(condition) <= set(_RANGES):
            raise InvalidInput(
                f"a range of {field!r} is made of {', '.join(_RANGES)}, got {json.dumps(condition)[:100]}"
            )
        values = list(condition.values())
        if None in values:
            raise InvalidInput(f"a range of {field!r} has null as a bound; give a number, or leave the bound out")
    else:
        values = condition if isinstance(condition, list) else [condition]
    if any(isinstance(value, dict | list) for value in values):
        raise InvalidInput(
            f"values of {field!r} are strings, numbers, true, false or null: {json.dumps(condition)[:100]}"
        )


def _require_kinds(node: dict[str, Any], fields: Fields, holder: str) -> None:
    for key, value in node.items():
        if key in _JOINED:
            for one in value:
                _require_kinds(one, fields, holder)
        elif key == "not":
            _require_kinds(value, fields, holder)
        elif key not in fields.kinds:
            known = ", ".join(f"{name} ({kind})" for name, kind in fields.declared) or "none"
            raise InvalidInput(f"{holder} has no field {key!r} to filter by; it has {known}, declared at its creation")
        else:
            _require_values(key, fields.kinds[key], value)


def _require_values(field: str, kind: Kind, condition: Any) -> None:
    values = condition if isinstance(condition, list) else [condition]
    if isinstance(condition, dict):
        if kind not in ("number", "integer"):
            raise InvalidInput(f"the field {field!r} is of the kind {kind}, which has no ranges; give values")
        values = list(condition.values())
    for value in values:
        try:
            stored_value(kind, value)
        except ValueError as exc:
            raise InvalidInput(f"the filter asks for {value!r:.80} in the field {field!r}, which holds {exc}") from None


def _mask(node: dict[str, Any], rows: NDArray[np.void], fields: Fields) -> NDArray[np.bool_]:
    found = np.ones(len(rows), np.bool_)
    for key, value in node.items():
        if key in _JOINED:
            found &= _JOINED[key].reduce([_mask(one, rows, fields) for one in value])
        elif key == "not":
            found &= ~_mask(value, rows, fields)
        else:
            found &= _matching(rows[key], fields.kinds[key], value)
    return found


def _matching(column: NDArray[Any], kind: Kind, condition: Any) -> NDArray[np.bool_]:
    there = _there(column, kind)
    if isinstance(condition, dict):
        found = there
        for name, bound in condition.items():
            found = found & _RANGES[name](column, np.array(stored_value(kind, bound), column.dtype))
        return found
    values = condition if isinstance(condition, list) else [condition]
    wanted = np.array([stored_value(kind, value) for value in values if value is not None], column.dtype)
    found = there & (column == wanted[0] if len(wanted) == 1 else np.isin(column, wanted))
    return np.asarray(found | ~there if None in values else found)


def _there(column: NDArray[Any], kind: Kind) -> NDArray[np.bool_]:
    """Which values are not missing."""
    if kind == "number":
        return np.asarray(~np.isnan(column))
    missing = {"keyword": 0, "integer": NO_INTEGER, "boolean": NO_BOOLEAN}[kind]
    return np.asarray(column != np.array(missing, column.dtype))
