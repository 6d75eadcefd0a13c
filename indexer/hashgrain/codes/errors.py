"""Every error that hashgrain raises on purpose.

    HashgrainError
    ├── InvalidInput (also a ValueError)      an argument, array or file has the wrong form
    │   ├── LayoutMismatch                    code lengths differ between two parts
    │   ├── FingerprintMismatch               codes of one model meet an index of another
    │   ├── ImageRejected                     one image cannot be read; carries its name and the reason
    │   └── DataError                         a data set or collection cannot be read
    │       └── SourceUnavailable             the service that holds it does not answer; later it may
    ├── MissingDependency (also an ImportError)   a package or program is not installed; names the extra
    ├── EncoderError                          the way through Triton or ONNX Runtime
    │   ├── ServerUnavailable                 no server there, or the server or the model is not ready
    │   │   └── ServerBusy                    its queue is full, or the request waited there too long
    │   ├── DeadlineExceeded                  no answer in time
    │   ├── ContractViolation                 the model's tensors or metadata are not a hash encoder's
    │   └── InferenceFailed                   the server answered with an error
    ├── StoreError                            the way through Redis
    │   ├── StoreUnavailable                  no server there, or no answer in time
    │   ├── StoreFull                         `maxmemory` reached, nothing of the batch was written
    │   ├── IndexMissing                      no index of that name
    │   ├── IndexExists                       an index of that name is there already
    │   ├── SchemaMismatch                    the stored layout has a version that this code does not know
    │   └── IndexCorrupt                      the stored layout contradicts itself
    ├── EmbeddedServerError                   `hashgrain up`: a server did not start, or died
    ├── TrainingError                         a run cannot start or go on
    └── CertificateError                      an exported model's codes differ from its origin's beyond the limit

A message says what was found, what was expected (both numbers), and what to do next. Exceptions of tritonclient,
ONNX Runtime and redis are translated in one place each (`client/wire/transport_errors.py`, `codes/onnx_model.py`,
`indexer/store_errors.py`), `from exc`.
"""

from __future__ import annotations


class HashgrainError(Exception):
    """Base of every error that hashgrain raises on purpose."""


class InvalidInput(HashgrainError, ValueError):
    """An argument, array or file has the wrong form."""


class LayoutMismatch(InvalidInput):
    """Code lengths differ between two parts."""


class FingerprintMismatch(InvalidInput):
    """Codes of one model meet an index that was built with another."""


class ImageRejected(InvalidInput):
    """One image cannot be read.

    Attributes:
        name: the path, or the position in the batch (``"image 3"``).
        reason: what is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageRejected], tuple[str, str]]:
        return type(self), (self.name, self.reason)


class DataError(InvalidInput):
    """A data set or a collection of images cannot be read."""


class SourceUnavailable(DataError):
    """The service that holds a collection, or a part of it, does not answer; later it may."""


class MissingDependency(HashgrainError, ImportError):
    """A package or program is not installed; the message names what to install."""


class EncoderError(HashgrainError):
    """The way through Triton or ONNX Runtime failed."""


class ServerUnavailable(EncoderError):
    """No Triton server at the address, or it or the model is not ready."""


class ServerBusy(ServerUnavailable):
    """The server's queue is full, or the request waited there for too long; it may be sent again later."""


class DeadlineExceeded(EncoderError):
    """The server gave no answer in time."""


class ContractViolation(EncoderError):
    """The model's tensors or metadata are not those of a hash encoder."""


class InferenceFailed(EncoderError):
    """The server answered an inference request with an error."""


class StoreError(HashgrainError):
    """The way through Redis failed."""


class StoreUnavailable(StoreError):
    """No Redis server at the address, or no answer in time."""


class StoreFull(StoreError):
    """Redis has reached `maxmemory`; nothing of the refused batch was written."""


class IndexMissing(StoreError):
    """There is no index of that name."""


class IndexExists(StoreError):
    """An index of that name is there already."""


class SchemaMismatch(StoreError):
    """The stored layout has a schema version that this code does not know."""


class IndexCorrupt(StoreError):
    """The stored layout contradicts itself."""


class EmbeddedServerError(HashgrainError):
    """An embedded server did not start, or died."""


class TrainingError(HashgrainError):
    """A training run cannot start or go on."""


class CertificateError(HashgrainError):
    """The exported graph's codes differ from PyTorch's beyond the stated limit."""
