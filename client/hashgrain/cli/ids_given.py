"""Ids of items as they are given on the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hashgrain.codes.errors import InvalidInput

if TYPE_CHECKING:
    from hashgrain.indexer import ItemId

integers_option = click.option(
    "--integers", is_flag=True, help="The ids are integers: 5 is not the same id as the string '5'."
)


def read_ids(ids: tuple[str, ...], integers: bool) -> list[ItemId]:
    """The ids that some words stand for; of the word - all lines of standard input.

    Raises:
        InvalidInput: they should be integers, and one is none.
    """
    texts = [text for given in ids for text in (_lines() if given == "-" else [given])]
    if not integers:
        return list(texts)
    return [_integer(text) for text in texts]


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is no integer; leave out --integers where ids are strings") from None


def _lines() -> list[str]:
    return [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
