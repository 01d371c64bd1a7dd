"""`distill` makes training data, `convert` trains."""

import argparse
import json
from pathlib import Path
from typing import Any

from dllm.cli.common import DEVICE, report
from dllm.files import check_not_input


def add_distill(commands: Any) -> None:
    """Enter `distill` into the command line."""
    distill = commands.add_parser("distill", help="make training data: the base's own words, tasks, and answers")
    distill.add_argument("--out", type=Path, required=True, help="JSON lines; what is there is kept and continued")
    distill.add_argument("--kind", default="own", help="own: the base makes up turns and answers them; tasks: "
                         "generated, with right answers; answers: of the model to the prompts of files")  # fmt: skip
    distill.add_argument("--prompts", type=Path, nargs="*", default=[], help="documents to answer anew")
    distill.add_argument("--twin", type=Path, help="an adapter of the objective ar, merged into the base before")
    distill.add_argument(
        "--answers", type=int, default=0, help="own: sampled beside the greedy one; the likeliest wins"
    )
    distill.add_argument("--documents", type=int, default=2000)
    distill.add_argument("--seed", type=int, default=0)
    distill.add_argument("--device", help=DEVICE)
    distill.set_defaults(run=_distill)


def _distill(args: argparse.Namespace) -> int:
    check_not_input("out", args.out, {f"prompts[{n}]": path for n, path in enumerate(args.prompts)})
    from dllm.training import distill

    source = distill.Source(args.kind, twin=args.twin, prompts=tuple(args.prompts))
    recipe = distill.Recipe(answers=args.answers)
    distill.distill(
        args.out,
        source=source,
        documents=args.documents,
        seed=args.seed,
        recipe=recipe,
        device=args.device,
        report=report,
    )
    return 0


def add_convert(commands: Any) -> None:
    """Enter `convert` into the command line."""
    convert = commands.add_parser("convert", help="convert an AR model to block diffusion by a low-rank adapter")
    convert.add_argument("--config", type=Path, required=True, help=".json or .toml; goes on from its checkpoint")
    convert.set_defaults(run=_convert)


def _convert(args: argparse.Namespace) -> int:
    from dllm.training import convert

    adapter = convert.convert(args.config, report=lambda entry: report(json.dumps(entry)))
    report(f"the adapter is {adapter}")
    return 0
