"""Examples of commands, which their help shows. Nothing is imported here, so that help appears at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import click

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("list", "show lstm", "validate torch --op lstm"),
    "list": ("list", "list --checks", "list --regimes --json list.json"),
    "show": ("show gru --set reset=before", "show lstm --latex"),
    "trace": (
        "trace lstm --size T=3 --gradient",
        "trace repros/mine-lstm-float32-values.npz --step 0",
        "trace lstm-case.json",
    ),
    "validate": (
        "validate torch --op lstm --op gru",
        "validate mypackage.adapter:MyBackend --dtype float32 --repro-dir repros",
        "validate torch tensorflow --html report.html --badge badge.svg",
        "validate -n 0 torch -k gradients",
        "validate onnxruntime --model lstm.onnx",
    ),
    "report": ("report torch.json mine.json --html report.html",),
    "faults": ("faults --op lstm --seeds 0-4", "faults --edits --op gru --sample 100", "faults --diagnose --sample 20"),
    "sharpness": ("sharpness --op lstm --dtype float32", "sharpness --part gradients --runs 40 --jobs 2"),
    "soak": (
        "soak torch --op lstm --cases 1000",
        "soak torch --jobs 2 --resume soak.json",
        "soak torch --scheduler tcp://host:8786",
    ),
    "train": (
        "train numpy torch --model image-rows --small --steps 50",
        "train torch --model char-rnn --size B=16 --html train.html",
    ),
    "learn": ("learn numpy --model sequence-reversal", "learn torch --model char-rnn --file text.txt"),
    "bisect": (
        "bisect flax-nnx --op gru --check values --versions '>=0.10,<0.13'",
        "bisect pytorch-crf --op crf_viterbi --check values --versions 0.5.0,0.6.0,0.7.2 --keep environments",
    ),
    "new-backend": ("new-backend mine --op lstm --op gru",),
    "convert": (
        "convert model.safetensors model.weights.h5 --check",
        "convert model.onnx weights.npz --to torch",
        "convert model.keras model.onnx",
    ),
    "bench": (
        "bench torch tensorflow --op lstm -T 200 -B 8,32",
        "bench torch numpy -w speech --html bench.html",
        "bench torch --op crf_log_likelihood --lengths --inputs start,end --alone",
        "bench torch --op gru --scan T=64,128,256",
        "bench torch numpy --model image-rows -B 32 --stages",
        "bench compare old.json new.json",
    ),
    "bench compare": ("bench compare old.json new.json --threshold 0.05",),
    "vectors": ("vectors export corpus --op lstm", "vectors check corpus results"),
    "vectors export": (
        "vectors export corpus --op lstm --dtype float32 --cases 40 --format safetensors",
        "vectors export plain --op gru --plain --set reset=after --no-padding",
        "vectors export tests --op gru --format onnx",
    ),
    "vectors check": ("vectors check corpus results --partial --json report.json",),
}
"""Each command's, without the program's name; the empty name is the program's own."""


def show_examples(group: click.Group, path: str = "") -> None:
    """Give a group and its commands their examples, after the options of their help."""
    for name, command in _all(group, path):
        if name in EXAMPLES:
            command.epilog = "\b\nExamples:\n" + "\n".join(f"  rnnspec {one}" for one in EXAMPLES[name])


def _all(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, group
    for name, command in group.commands.items():
        inner = f"{path} {name}".strip()
        if hasattr(command, "commands"):
            yield from _all(command, inner)  # type: ignore[arg-type]  # it is a group
        else:
            yield inner, command
