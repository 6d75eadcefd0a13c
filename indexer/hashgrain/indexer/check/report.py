"""What a check answers."""

from __future__ import annotations

from dataclasses import dataclass

from hashgrain.indexer.stored.identifiers import ItemId


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: its name, see `kinds`.
        key: the Redis key where it was found.
        found: what was found there, and what should be.
        consequence: what follows for the user.
        remedy: the next step; empty where nothing is left to do.
        item: the id of the item that it concerns, or None where it concerns none, or one whose id cannot be read.
        repaired: whether the check has mended it, and did not find it again afterwards.
    """

    kind: str
    key: str
    found: str
    consequence: str
    remedy: str
    item: ItemId | None = None
    repaired: bool = False


@dataclass(frozen=True)
class Examined:
    """How much a check has looked at.

    Attributes:
        shards: parts of the index.
        buckets: strings of records.
        items: records in them, holes left out.
        names: ids that are stored by name.
        payloads: of items.
    """

    shards: int = 0
    buckets: int = 0
    items: int = 0
    names: int = 0
    payloads: int = 0

    def __add__(self, other: Examined) -> Examined:
        return Examined(
            self.shards + other.shards,
            self.buckets + other.buckets,
            self.items + other.items,
            self.names + other.names,
            self.payloads + other.payloads,
        )


@dataclass(frozen=True)
class CheckReport:
    """The outcome of a check.

    Attributes:
        name: of the index.
        findings: everything that was wrong, what was repaired included; in the order of shards.
        examined: how much was looked at (in the last round, where repairs needed several).
    """

    name: str
    findings: tuple[Finding, ...]
    examined: Examined

    @property
    def remaining(self) -> tuple[Finding, ...]:
        """What is still wrong."""
        return tuple(finding for finding in self.findings if not finding.repaired)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong (any more)."""
        return not self.remaining
