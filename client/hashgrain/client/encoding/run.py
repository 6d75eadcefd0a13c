"""`Run`: how one run of pictures is made, and what is the same wherever it waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from hashgrain.client.encoding.encoded import Encoded
from hashgrain.client.encoding.stage_clock import StageClock
from hashgrain.codes.contract import BULK, ONLINE


@dataclass(frozen=True)
class Run:
    """How one run of pictures is made.

    Attributes:
        outputs: names of the tensors wanted.
        priority: `contract.ONLINE` or `contract.BULK`.
        ordered: whether batches come back in the order in which they were given, or as they are done.
        strict: whether the first picture that cannot be read ends the run.
        patience: seconds to wait for a server that goes away in the middle.
        require_back: raises where the server is not back, or is not what it was.
        clock: told what takes how long.
        over: set when the run has ended: whoever still waits for a server need not.
    """

    outputs: tuple[str, ...]
    priority: int = ONLINE
    ordered: bool = True
    strict: bool = False
    patience: float = 0.0
    require_back: Callable[[], object] = lambda: None
    clock: StageClock = field(default_factory=StageClock)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def is_bulk(self) -> bool:
        """Whether its requests go behind others."""
        return self.priority == BULK

    def accepted(self, encoded: Encoded) -> Encoded:
        """What the run hands on of a batch.

        Raises:
            ImageRejected: the run is strict and a picture of the batch cannot be read.
        """
        if self.strict:
            encoded.all_or_nothing()
        return encoded
