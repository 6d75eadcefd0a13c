"""`hashgrain backbones`."""

from __future__ import annotations

import dataclasses

import click

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option


@click.command()
@click.argument("names", nargs=-1)
@click.option("--input-size", type=click.IntRange(16, 1024), help="Side of the pictures. [default: each one's own]")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads that compute.")
@json_option
def backbones(names: tuple[str, ...], input_size: int | None, threads: int, as_json: bool) -> None:
    """Measure what backbones cost on this machine: those of NAMES (timm:NAME too), or all that hashgrain knows.

    Each gets heads of 16 and 64 bits, is exported with its weights in 16 bits, and encodes noise in ONNX Runtime, in
    turn with the others.
    """
    from hashgrain.export.backbones import BACKBONES
    from hashgrain.export.costs import backbone_costs, software

    costs = backbone_costs(names or tuple(BACKBONES), input_size, threads)
    if as_json:
        echo_json([dataclasses.asdict(cost) for cost in costs])
        return
    width = max(len(cost.name) for cost in costs) + 2
    click.echo(f"{'backbone':{width}}{'pixels':>7}{'parameters':>12}{'MACs':>10}{'ONNX':>10}{'images/s':>10}")
    for cost in costs:
        click.echo(
            f"{cost.name:{width}}{cost.input_size:>7}{cost.parameters / 1e6:>10.2f} M{cost.macs / 1e6:>8,.0f} M"
            f"{cost.onnx_bytes / 1e6:>7.1f} MB{cost.images_per_second:>10,.0f}"
        )
    click.echo(f"{threads} thread{'s' if threads > 1 else ''}, {software()}")
