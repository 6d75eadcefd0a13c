"""Read a config.pbtxt: protobuf's text format, as far as Triton's model configurations use it.

The generated protobuf classes come with tritonclient alone, which a check of the file should not need.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from hashgrain.codes.contract import EncoderContract, versions_in
from hashgrain.codes.errors import ContractViolation

_TOKEN = re.compile(r'\s+|#[^\n]*|("(?:[^"\\\n]|\\.)*")|([A-Za-z0-9_.+-]+)|([{}\[\]:,;])')

Message = dict[str, list[Any]]
"""Every field's values in order: text, or messages."""


def read_encoder_config(text: str, source: str) -> EncoderContract:
    """The contract out of the config.pbtxt of a hash encoder, once its tensors agree with it.

    Args:
        text: the file's text.
        source: where it was read, for the messages.

    Returns:
        Of several versions, the newest one's.

    Raises:
        ContractViolation: it cannot be read, carries no contract, or tensors that contradict it.
    """
    contracts = read_encoder_contracts(text, source)
    return contracts[max(contracts)]


def read_encoder_contracts(text: str, source: str) -> dict[int, EncoderContract]:
    """As `read_encoder_config`, the contract of every version by its number; one that stands alone is version 1."""
    config = parse(text, source)
    try:
        parameters = {row["key"][0]: row["value"][0]["string_value"][0] for row in config.get("parameters", [])}
        tensors = {
            row["name"][0]: (row["data_type"][0].removeprefix("TYPE_"), (-1, *map(int, row["dims"])))
            for row in (*config.get("input", []), *config.get("output", []))
        }
    except (KeyError, TypeError, ValueError) as exc:
        raise ContractViolation(f"{source} is not a model configuration ({exc!r}); export it again") from exc
    contracts = {
        version: EncoderContract.from_metadata(parameters, source, str(version))
        for version in versions_in(parameters) or [_only_version(config)]
    }
    for contract in contracts.values():
        contract.check_tensors(tensors, source)
    return contracts


def _only_version(config: Message) -> int:
    specific = config.get("version_policy", [{}])[0].get("specific", [{}])[0]
    return int(specific.get("versions", ["1"])[-1])


def parse(text: str, source: str) -> Message:
    """Parse a message in protobuf's text format.

    Raises:
        ContractViolation: the text does not follow the format.
    """
    try:
        return _message(_tokens(text), end=None)
    except (ValueError, StopIteration) as exc:
        reason = str(exc) or "it ends too early"
        raise ContractViolation(f"{source} cannot be read: {reason}; export it again with `hashgrain export`") from exc


def _tokens(text: str) -> Iterator[str]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"unexpected {text[position]!r} in line {text.count(chr(10), 0, position) + 1}")
        position = match.end()
        if match.lastindex:
            yield match[match.lastindex]


def _message(tokens: Iterator[str], end: str | None) -> Message:
    message: Message = {}
    for token in tokens:
        if token == end:
            return message
        if token in ",;":
            continue
        if not re.fullmatch(r"[A-Za-z_]\w*", token):
            raise ValueError(f"a field's name was expected, found {token}")
        message.setdefault(token, []).extend(_values(tokens))
    if end is not None:
        raise ValueError(f"{end} is missing at the end")
    return message


def _values(tokens: Iterator[str]) -> list[Any]:
    token = next(tokens)
    if token == ":":
        token = next(tokens)
    if token != "[":
        return [_value(token, tokens)]
    values = []
    while (token := next(tokens)) != "]":
        if token != ",":
            values.append(_value(token, tokens))
    return values


def _value(token: str, tokens: Iterator[str]) -> Any:
    if token == "{":
        return _message(tokens, end="}")
    if token.startswith('"'):
        return json.loads(token)
    if token in "}]:,;":
        raise ValueError(f"a value was expected, found {token}")
    return token
