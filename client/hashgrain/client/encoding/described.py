"""`Described`: what an encoder says of the model that it reached."""

from __future__ import annotations

from hashgrain.client.wire.address import Address
from hashgrain.client.wire.in_flight import InFlight
from hashgrain.client.wire.transport import Served
from hashgrain.codes import CodeLayout, EncoderContract
from hashgrain.codes.errors import EncoderError


class Described:
    """The properties that `HashEncoder` and `AsyncHashEncoder` share."""

    _address: Address
    _served: Served | None = None
    _batch_size: int
    _in_flight: InFlight

    @property
    def contract(self) -> EncoderContract:
        """What the model says of itself."""
        return self.served.contract

    @property
    def layout(self) -> CodeLayout:
        """The code lengths."""
        return self.contract.layout

    @property
    def input_size(self) -> int:
        """S, the side of the network's square input in pixels; 0 for a model of vectors."""
        return self.contract.input_size

    @property
    def fingerprint(self) -> str:
        """Hex digest over graph and weights; codes are comparable only where it is equal."""
        return self.contract.fingerprint

    @property
    def served(self) -> Served:
        """Name and version of the server, version and largest batch of the model."""
        if self._served is None:
            raise self._not_connected()
        return self._served

    @property
    def batch_size(self) -> int:
        """Images of one request."""
        return self._batch_size

    @property
    def in_flight(self) -> int:
        """Requests that may be under way at a time, now."""
        return self._in_flight.limit

    def _not_connected(self) -> EncoderError:
        return EncoderError(f"the encoder for {self._address} is not connected; use it in an `async with`")

    def __repr__(self) -> str:
        if self._served is None:
            return f"{type(self).__name__}({str(self._address)!r}: not connected)"
        return f"{type(self).__name__}({str(self._address)!r}: {self.layout}, model {self.fingerprint[:12]})"
