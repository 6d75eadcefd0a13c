"""The next generation of an index, from its pictures and another encoder."""

from hashgrain.rebuild.rebuild import Rebuilt, rebuild_index
from hashgrain.rebuild.seen import Late

__all__ = ["Late", "Rebuilt", "rebuild_index"]
