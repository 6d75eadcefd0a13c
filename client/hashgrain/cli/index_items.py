"""`hashgrain index get`, `ids` and `payload`: single items of an index."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from hashgrain.cli.ids_given import integers_option, read_ids
from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, redis_option
from hashgrain.codes.errors import InvalidInput

if TYPE_CHECKING:
    from hashgrain.indexer import ItemId, StoredItems

LINES_AT_ONCE = 1000


@click.command()
@click.argument("name")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@integers_option
@redis_option
@json_option
@click.pass_context
def get(
    context: click.Context, name: str, ids: tuple[str, ...], integers: bool, redis: str | None, as_json: bool
) -> None:
    """Show items of the index NAME: codes in hexadecimal digits, and payload.

    The ID - stands for standard input, one id a line. Exits with 1 where an id is not there.
    """
    from hashgrain.indexer import Index
    from hashgrain.runtime.addresses import resolve_redis

    wanted = read_ids(ids, integers)
    with Index.open(resolve_redis(redis), name) as opened:
        found = opened.get(wanted)
    known = set(found.ids)
    unknown = [id_ for id_ in dict.fromkeys(wanted) if id_ not in known]
    if as_json:
        echo_json({"index": name, "items": list(_shown(found)), "unknown": unknown})
    else:
        for item in _shown(found):
            payload = "-" if item["payload"] is None else json.dumps(item["payload"], ensure_ascii=False)
            click.echo(f"{item['id']}\t{item['coarse']}\t{item['fine']}\t{payload}")
        for id_ in unknown:
            click.echo(f"index {name} has no item {id_!r}", err=True)
    if unknown:
        context.exit(1)


@click.command()
@click.argument("name")
@click.option("--limit", type=int, default=1000, show_default=True, help="Ids on this page, 100,000 at most.")
@click.option("--cursor", help="Go on where the page ended that named this cursor.")
@click.option("--all", "whole", is_flag=True, help="List all ids, page after page.")
@redis_option
@json_option
def ids(name: str, limit: int, cursor: str | None, whole: bool, redis: str | None, as_json: bool) -> None:
    """List the ids of the index NAME, one a line, and the cursor of the next page on standard error.

    Whatever is written between pages, an item that is there all the time comes exactly once, and none comes twice.
    """
    from hashgrain.indexer import Index
    from hashgrain.runtime.addresses import resolve_redis

    if whole and as_json:
        raise click.UsageError("--json prints a page; leave out --all, and ask for the next page by its cursor")
    with Index.open(resolve_redis(redis), name) as opened:
        page = opened.ids(limit, cursor)
        if as_json:
            echo_json({"index": name, "ids": page.ids, "cursor": page.cursor})
            return
        _print(page.ids)
        while whole and page.cursor is not None:
            page = opened.ids(limit, page.cursor)
            _print(page.ids)
    if page.cursor is not None:
        click.echo(f"more with --cursor {page.cursor}", err=True)


@click.command()
@click.argument("name")
@click.argument("id_", metavar="ID")
@click.argument("payload", required=False)
@integers_option
@redis_option
@json_option
@click.pass_context
def payload(
    context: click.Context,
    name: str,
    id_: str,
    payload: str | None,
    integers: bool,
    redis: str | None,
    as_json: bool,
) -> None:
    """Give the item ID of the index NAME the PAYLOAD, a JSON object; null takes it away. The codes stay.

    The ID - stands for standard input, one JSON object a line: {"id": ..., "payload": {...}}. Exits with 1 where
    an id is not there.
    """
    from hashgrain.indexer import Index
    from hashgrain.runtime.addresses import resolve_redis

    if (id_ == "-") == (payload is not None):
        raise click.UsageError("give an ID and its PAYLOAD, or - alone to read both from standard input")
    groups = _groups() if payload is None else iter([(read_ids((id_,), integers), [_parsed(payload)])])
    written, unknown = 0, []
    with Index.open(resolve_redis(redis), name) as opened:
        for wanted, payloads in groups:
            missing = opened.set_payloads(wanted, payloads)
            written += len(set(wanted)) - len(missing)
            unknown += missing
    if as_json:
        echo_json({"index": name, "written": written, "unknown": unknown})
    else:
        click.echo(f"wrote {written:,} payloads of index {name}")
        for missing_id in unknown:
            click.echo(f"index {name} has no item {missing_id!r}", err=True)
    if unknown:
        context.exit(1)


def _shown(found: StoredItems) -> Iterator[dict[str, Any]]:
    rows = zip(found.ids, found.codes.coarse, found.codes.fine, found.payloads, strict=True)
    for id_, coarse, fine, payload in rows:
        yield {"id": id_, "coarse": coarse.tobytes().hex(), "fine": fine.tobytes().hex(), "payload": payload}


def _print(ids: list[ItemId]) -> None:
    if ids:
        click.echo("\n".join(map(str, ids)))


def _groups() -> Iterator[tuple[list[ItemId], list[Any]]]:
    """Ids and payloads of standard input, some at a time."""
    ids: list[ItemId] = []
    payloads: list[Any] = []
    for line in sys.stdin:
        if line.strip():
            given = _parsed(line)
            if not isinstance(given, dict) or given.keys() != {"id", "payload"}:
                raise InvalidInput(
                    f'{line.strip()[:80]!r} is no object of an id and a payload: {{"id": 5, "payload": {{}}}}'
                )
            ids.append(given["id"])
            payloads.append(given["payload"])
        if len(ids) == LINES_AT_ONCE:
            yield ids, payloads
            ids, payloads = [], []
    if ids:
        yield ids, payloads


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as exc:
        raise InvalidInput(f"{text.strip()[:80]!r} is no JSON ({exc}); a payload is an object such as {{}}") from None
