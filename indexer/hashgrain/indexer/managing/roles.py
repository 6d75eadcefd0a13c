"""What a Redis user must be allowed to do with an index: ACL rules for those who read, write, and administer it.

See https://valkey.io/topics/acl/ for the syntax. A reader can change nothing. A writer can run any script on the
index's keys, as adding and deleting are scripts; the rules keep it from creating, switching and dropping by mistake,
not from harm that it means.
"""

from __future__ import annotations

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer.stored.header import require_name

READER, WRITER, ADMIN = "reader", "writer", "admin"
ROLES = (READER, WRITER, ADMIN)

_CONNECT = (
    "ping",
    "hello",
    "auth",
    "select",
    "client|setinfo",
    "client|setname",
    "client|id",
    "client|tracking",
    "cluster|slots",
    "readonly",
)
_READ = ("get", "mget", "getrange", "strlen", "exists", "type", "hget", "hmget", "hgetall", "hexists", "hlen", "hvals")
_SCRIPTS = ("evalsha", "script|load", "script|exists")
_WRITE = (
    "wait",
    "role",
    "set",
    "setnx",
    "setrange",
    "append",
    "incr",
    "incrby",
    "del",
    "unlink",
    "hset",
    "hdel",
    "hincrby",
)
_ADMINISTER = ("eval", "scan", "hscan", "memory|usage", "config|get", "info")

_COMMANDS = {
    READER: (*_CONNECT, *_READ),
    WRITER: (*_CONNECT, *_READ, *_SCRIPTS, *_WRITE),
    ADMIN: (*_CONNECT, *_READ, *_SCRIPTS, *_WRITE, *_ADMINISTER),
}


def acl_rules(name: str, role: str) -> list[str]:
    """The rules of a user who has one role with one index, in all its generations; `ACL SETUSER` takes them in order.

    Args:
        name: of the index; "*" for every index.
        role: `reader` searches; `writer` adds, loads, replaces and deletes, too; `admin` also creates, drops, checks,
            measures, and switches generations.

    Raises:
        InvalidInput: there is no such role, or no index can have that name.
    """
    if role not in ROLES:
        raise InvalidInput(f"a role is {', '.join(ROLES)}, got {role!r}")
    if name != "*":
        require_name(name)
    access = "%R~" if role == READER else "~"
    keys = (f"hg:{{{name}:*", f"hg:{{{name}@*", f"hg:{{{name}}}:generations")
    return ["resetkeys", "resetchannels", "-@all", *(access + key for key in keys), *(f"+{c}" for c in _COMMANDS[role])]
