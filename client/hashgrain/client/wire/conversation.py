"""A conversation with a server, told once for callers who wait in a thread and for those who await.

It is a generator: it yields questions, is sent the answers, and returns what came of them, as authentication flows do
in httpx (https://www.python-httpx.org/advanced/authentication/).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")
_T = TypeVar("_T")


def hold(conversation: Generator[_Question, _Answer, _T], ask: Callable[[_Question], _Answer]) -> _T:
    """Answer every question by `ask`; errors of both pass through."""
    try:
        question = next(conversation)
        while True:
            question = conversation.send(ask(question))
    except StopIteration as end:
        result: _T = end.value
        return result


async def hold_async(
    conversation: Generator[_Question, _Answer, _T], ask: Callable[[_Question], Awaitable[_Answer]]
) -> _T:
    """`hold` for answers that are awaited."""
    try:
        question = next(conversation)
        while True:
            question = conversation.send(await ask(question))
    except StopIteration as end:
        result: _T = end.value
        return result
