"""`hashgrain evaluate`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option

if TYPE_CHECKING:
    from hashgrain.export.evaluate import Encoder, Evaluation
    from hashgrain.export.partition import PartitionRecall

RANKINGS = {
    "fine": "fine code",
    "coarse": "coarse code",
    "combined": "fine + coarse distance",
    "float_cosine": "cosine of the fine logits *",
    "classifier": "predicted class",
    "chance": "chance",
}
ORDERS = {"margin": "by margins", "hamming": "by Hamming distance"}


@click.command()
@click.option(
    "--model",
    type=click.Path(exists=True, path_type=Path),
    help="An exported model.onnx or the repository that holds one. [default: the model that hashgrain ships]",
)
@click.option(
    "--run",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of a finished run, measured in PyTorch without an export, instead of --model.",
)
@click.option("--device", help="Where a --run is measured: cpu, cuda or auto. [default: auto]")
@click.option(
    "--held-out",
    is_flag=True,
    help="With --run: the pictures that it held out (--validation) query those that it was trained on. Settings are "
    "chosen by this, never by the test split.",
)
@click.option("--data", help="Labelled pictures, with a train and a test split.")
@click.option(
    "--hierarchy",
    help='A JSON file {"superclass": ["class", ...]}, or groups within groups. [default: that of the --run]',
)
@click.option("--coarse-level", type=click.IntRange(min=1), help="As in train: its level of the superclasses.")
@click.option(
    "--protocol",
    type=click.Choice(["p1", "p2"]),
    default="p2",
    show_default=True,
    help="p2: the test split queries the train split. p1: 100 pictures of each class, drawn from both splits, query "
    "all others; for networks trained with --protocol p1.",
)
@click.option("--protocol-seed", type=int, help="Decides p1's draw. [default: 0]")
@click.option("--queries", type=click.IntRange(min=1), help="Take only so many of the queries, evenly spaced.")
@click.option("--database", type=click.IntRange(min=1), help="Take only so many of the database, evenly spaced.")
@click.option(
    "--codes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file that `hashgrain encode --out` wrote, to be held --against another.",
)
@click.option(
    "--against",
    type=click.Path(exists=True, path_type=Path),
    help="Compare with this instead: a model or a run on the same pictures, or with --codes another file of codes.",
)
@json_option
def evaluate(
    model: Path | None,
    run: Path | None,
    device: str | None,
    held_out: bool,
    data: str | None,
    hierarchy: str | None,
    coarse_level: int | None,
    protocol: str,
    protocol_seed: int | None,
    queries: int | None,
    database: int | None,
    codes: Path | None,
    against: Path | None,
    as_json: bool,
) -> None:
    """Measure a model on labelled pictures, at both levels, beside what a plain classifier and chance give.

    Ties count with their expected value: mAP over the whole ranking, precision@10, NDCG@100 (gain 2 for the same
    class, 1 for the same superclass; in a deeper hierarchy the depth of the lowest common ancestor), and the recall of
    the nearest for the share of the database that is scanned.

    With --against, no labels are looked at: balance of the bits, entropy of the buckets, and the neighbours that both
    agree on; for codes of one model, also how far bits and buckets have moved, beside what chance would move them.
    """
    from hashgrain.export.evaluate import evaluate as measure
    from hashgrain.export.protocols import held_out_task, load_task
    from hashgrain.export.run_folder import RunFolder

    if against is not None:
        if held_out or hierarchy or coarse_level or database or protocol != "p2" or protocol_seed is not None:
            raise click.UsageError("--against takes --codes, or --model or --run with --data; it looks at no labels")
        _compare(model, run, device, codes, against, data, queries, as_json)
        return
    if codes is not None:
        raise click.UsageError("--codes is held --against another file of codes; name one")
    if run is not None and model is not None:
        raise click.UsageError("--run and --model are two things to measure; give one")
    if run is None and (device is not None or held_out):
        raise click.UsageError("--device and --held-out need a --run; an exported model runs in ONNX Runtime")
    if held_out and (data or hierarchy or coarse_level or database or protocol_seed is not None):
        raise click.UsageError("--held-out takes its pictures from the run; give no data, hierarchy, database or seed")
    if protocol == "p2" and protocol_seed is not None:
        raise click.UsageError("--protocol-seed decides what p1 draws; p2 draws nothing")
    encoder = _encoder(model, run, device or "auto")
    trained = None if run is None else RunFolder.open(run).settings()
    if held_out:
        assert trained is not None
        task = held_out_task(trained, queries)
    elif data is not None:
        if trained is not None and hierarchy is None:
            hierarchy, coarse_level = trained.hierarchy, coarse_level or trained.coarse_level
        size, level = encoder.input_size, coarse_level or 0
        task = load_task(protocol, data, size, hierarchy, protocol_seed or 0, queries, database, level)
    else:
        raise click.UsageError("missing --data: labelled pictures with a train and a test split")
    result = measure(encoder, task, progress=sys.stderr.isatty())
    if as_json:
        echo_json(result.as_dict())
        return
    for line in report(result):
        click.echo(line)


def _compare(
    model: Path | None,
    run: Path | None,
    device: str | None,
    codes: Path | None,
    against: Path,
    data: str | None,
    queries: int | None,
    as_json: bool,
) -> None:
    from hashgrain.cli.drift import codes_of_models, files_of_codes, tell
    from hashgrain.export.drift import compare_codes
    from hashgrain.runtime.addresses import model_repository

    if codes is not None:
        if model or run or data or queries or device:
            raise click.UsageError("--codes and --against hold codes already; give no model, run, data or queries")
        sets = files_of_codes(codes, against)
    elif data is None:
        raise click.UsageError("missing --data: the pictures that both models encode, or --codes for a file of codes")
    else:
        chosen = device or "auto"
        is_run = (against / "settings.json").exists()
        other = _encoder(None, against, chosen) if is_run else _encoder(against, None, chosen)
        encoders = (_encoder(model, run, chosen), other)
        names = (str(run or model or model_repository()), str(against))
        sets = codes_of_models(encoders, names, data, queries)
    tell(compare_codes(*sets), as_json)


def _encoder(model: Path | None, run: Path | None, device: str) -> Encoder:
    from hashgrain.export.onnx_session import OnnxEncoder
    from hashgrain.runtime.addresses import model_repository

    if run is None:
        return OnnxEncoder(model or model_repository())
    from hashgrain.export.inference import choose_device
    from hashgrain.export.run_encoder import RunEncoder
    from hashgrain.export.run_folder import RunFolder

    return RunEncoder(RunFolder.open(run), choose_device(device))


def report(result: Evaluation) -> Iterator[str]:
    """The figures as lines of text."""
    depths = result.depths
    yield f"{result.protocol}; ties count with their expected value"
    yield ""
    yield f"{'':30}{'classes':^20}{'superclasses':^20}{'both levels':>12}".rstrip()
    columns = ("mAP@ALL", f"P@{depths.precision}") * 2
    yield f"{'ranked by':30}" + "".join(f"{name:>10}" for name in columns) + f"{f'NDCG@{depths.ndcg}':>12}"
    for name, label in RANKINGS.items():
        row = getattr(result.rankings, name)
        values = (row.fine_map, row.fine_precision, row.coarse_map, row.coarse_precision)
        yield f"{label:30}" + "".join(f"{value:10.4f}" for value in values) + f"{row.ndcg:12.4f}"
    yield f"* over {result.some_queries} queries"
    yield (
        "predicted class: that of the nearest class centroid of the fine logits, which is right for "
        f"{result.classifier_accuracy:.4f} of the queries"
    )
    yield ""
    yield from _partition(result.partition, result.some_queries)
    yield (
        f"buckets: {result.buckets['buckets']} in use, entropy {result.buckets['entropy_bits']:.2f} bits, "
        f"largest {result.buckets['largest_share']:.2%} of the database, sum p^2 {result.buckets['collision']:.3%}"
    )


def _partition(recalls: tuple[PartitionRecall, ...], queries: int) -> Iterator[str]:
    if not recalls:
        yield "recall@10 for the share scanned: the database is too small, 5 % of it are fewer than 10 pictures"
        return
    shares = sorted({recall.share for recall in recalls})
    found = {(recall.key, recall.order, recall.share): recall.recall for recall in recalls}
    yield f"recall@10 of the fine ranking for the share of the database scanned, over {queries} queries"
    yield f"{'buckets by':45}" + "".join(f"{share:>8.1%}" for share in shares)
    for key, order in dict.fromkeys((recall.key, recall.order) for recall in recalls):
        values = "".join(f"{found[key, order, share]:8.4f}" for share in shares)
        yield f"{f'{key}, {ORDERS[order]}':45}{values}"
