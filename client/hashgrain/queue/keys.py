"""What a job keeps in Redis, layout version 1: the only place that spells its keys.

    hgjob:{NAME}:job        HASH    version, run (one random number per beginning), fingerprint, index (name and
                                    incarnation), sources (as JSON), state (feeding, fed, ended), position and last
                                    (references that were handed out, and the last one's name), handed_out, done and
                                    aside (chunks), encoded, reused, unchanged, rejected, bytes_read, begun_ms, ended_ms
    hgjob:{NAME}:chunks     STREAM  chunks that are not done, field `work`, see `work.Work`; its group is `workers`
    hgjob:{NAME}:feeder     STRING  token of the process that hands out, with an expiry: it renews it or loses it
    hgjob:{NAME}:rejected   HASH    id -> reason
    hgjob:{NAME}:aside      HASH    the chunk's number in the stream -> {"reason": ..., "work": ...} as JSON

A chunk is done when it has left the stream. All keys of a job carry one hash tag, so that scripts may change them
together on a Redis Cluster's node. They stay when the job has ended, until it is begun again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hashgrain.codes.errors import InvalidInput

LAYOUT_VERSION = 1
GROUP = "workers"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True)
class JobKeys:
    """The keys of one job.

    Raises:
        InvalidInput: no job can have that name.
    """

    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidInput(
                f"a job's name is 1 to 128 letters, digits, dots, hyphens and underscores, got {self.name!r}"
            )

    @property
    def job(self) -> str:
        """See the module."""
        return f"hgjob:{{{self.name}}}:job"

    @property
    def chunks(self) -> str:
        """See the module."""
        return f"hgjob:{{{self.name}}}:chunks"

    @property
    def feeder(self) -> str:
        """See the module."""
        return f"hgjob:{{{self.name}}}:feeder"

    @property
    def rejected(self) -> str:
        """See the module."""
        return f"hgjob:{{{self.name}}}:rejected"

    @property
    def aside(self) -> str:
        """See the module."""
        return f"hgjob:{{{self.name}}}:aside"

    def all(self) -> list[str]:
        """Every key, in the order in which the scripts take them as KEYS."""
        return [self.job, self.chunks, self.feeder, self.rejected, self.aside]
