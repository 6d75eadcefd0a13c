"""`JobReport`: what came of a job, over all its workers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobReport:
    """What came of a job so far; every chunk that is done counts once, whoever did it and however often.

    Attributes:
        state: "feeding" while chunks are being handed out, "fed" when all are, "ended".
        handed_out, done, aside: chunks; those set aside could not be done.
        encoded, reused, unchanged, rejected: pictures, see `hashgrain.client.bulk.receipt.Receipt`.
        bytes_read: of image files.
        seconds: since the job was begun, to its end.
    """

    state: str
    handed_out: int
    done: int
    aside: int
    encoded: int
    reused: int
    unchanged: int
    rejected: int
    bytes_read: int
    seconds: float

    @property
    def images(self) -> int:
        """Pictures of the chunks that are done."""
        return self.encoded + self.reused + self.unchanged + self.rejected

    @property
    def images_per_second(self) -> float:
        """Pictures that went through the network, per second of the whole job."""
        return self.encoded / max(self.seconds, 1e-9)


@dataclass(frozen=True)
class SetAside:
    """A chunk that could not be done.

    Attributes:
        chunk: its number in the stream.
        work: which pictures, in words.
        reason: why.
    """

    chunk: str
    work: str
    reason: str
