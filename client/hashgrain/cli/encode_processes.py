"""More processes of this machine in one job, where a single Python process cannot keep a fast server busy."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import click

from hashgrain.cli.encode_share import ShareSettings, opened
from hashgrain.codes.errors import HashgrainError

GRACE_S = 5.0
"""How long processes may take to give back what they have when the job is broken off."""


@contextmanager
def companions(count: int, settings: ShareSettings) -> Iterator[None]:
    """So many more processes take part as long as this lasts, and until the job has ended where it ends well.

    They have joined the job when it begins: one that came after the job's end would begin it anew. They end with this
    process, however that ends; what one had begun is taken over as from any process.

    Raises:
        HashgrainError: one of them cannot take part.
    """
    spawned = [_spawn(replace(settings, anew=False)) for _ in range(count)]  # this process began it anew already
    processes = [process for process, _ in spawned]
    try:
        for process, told in spawned:
            _require_joined(process, told)
        yield
        for process in processes:
            process.join()
            if process.exitcode:
                click.echo(f"a process ended with exit code {process.exitcode}; others took over its work", err=True)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(GRACE_S)
            process.kill()


def _spawn(settings: ShareSettings) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")  # a fork would share connections and locks with this process
    told, tell = context.Pipe(duplex=False)
    process = context.Process(target=_take_part, args=(settings, tell), daemon=True)
    process.start()
    tell.close()
    return process, told


def _require_joined(process: BaseProcess, told: Connection) -> None:
    wait([told, process.sentinel])
    refused = told.recv() if told.poll() else f"it ended with exit code {process.exitcode}"
    if refused is not None:
        raise HashgrainError(f"one of the processes cannot take part: {refused}")


def _take_part(settings: ShareSettings, tell: Connection) -> None:
    """What such a process does."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what it has is given back, as by Ctrl-C
    try:
        with opened(settings) as share:
            tell.send(None)
            share.do()
    except KeyboardInterrupt:
        sys.exit(1)
    except HashgrainError as error:
        tell.send(str(error))
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
