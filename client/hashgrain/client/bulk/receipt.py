"""`Receipt`: what came of encoding a collection."""

from __future__ import annotations

from dataclasses import dataclass

from hashgrain.client.encoding.stage_clock import StageTime
from hashgrain.codes.errors import ImageRejected


@dataclass(frozen=True)
class Receipt:
    """What came of a collection: every picture counts once, below one of the first five.

    Attributes:
        encoded: went through the network; the sink has their codes.
        reused: the sink got codes that were known: of an identical picture, or from the ledger.
        unchanged: the sink has had their codes since an earlier run; nothing was done.
        rejected: could not be read, by id with the reason, in the collection's order.
        quarantined: were rejected in an earlier run, are unchanged, and were not tried again.
        bytes_read: of image files, as they are stored.
        seconds: from the first to the last.
        stages: how long each stage was at work.
        joules: that the server's GPUs took meanwhile, for this and for all else; None where it does not tell.
    """

    encoded: int
    reused: int
    unchanged: int
    rejected: tuple[ImageRejected, ...]
    quarantined: int
    bytes_read: int
    seconds: float
    stages: tuple[StageTime, ...]
    joules: float | None = None

    @property
    def images(self) -> int:
        """Pictures of the collection."""
        return self.encoded + self.reused + self.unchanged + len(self.rejected) + self.quarantined

    @property
    def in_sink(self) -> int:
        """Pictures whose codes the sink has."""
        return self.encoded + self.reused + self.unchanged

    @property
    def images_per_second(self) -> float:
        """Pictures that went through the network, per second of the whole run."""
        return self.encoded / max(self.seconds, 1e-9)
