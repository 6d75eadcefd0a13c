"""An index as one file: backup, and the way to another server, another number of shards, another release."""

from hashgrain.transfer.dump import Dumped, dump_index
from hashgrain.transfer.dump_file import DumpHeader, read_header
from hashgrain.transfer.load import Loaded, load_index

__all__ = ["DumpHeader", "Dumped", "Loaded", "dump_index", "load_index", "read_header"]
