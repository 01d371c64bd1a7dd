"""`python -m dllm …`: decode, drift, models, validate, evaluate, bench, and the training commands."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from dllm import __version__
from dllm.measuring import add_measuring
from dllm.trace import Trace, TraceError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 1 something failed, 2 wrong use)."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (ValueError, OSError) as error:
        print(f"dllm: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dllm", description="Block-diffusion decoding, without the page.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    decode = commands.add_parser("decode", help="answer a file of requests with traces, line by line")
    decode.add_argument("--model", default="default", help="a name that `models` lists, a folder, a .gguf file")
    decode.add_argument("--requests", default="-", help="JSON lines; - is standard input")
    decode.add_argument("--out", help="JSON lines; - is standard output, which is the default without --traces")
    decode.add_argument("--traces", type=Path, metavar="DIR", help="keep each trace as DIR/ID.json.gz; print errors")
    decode.add_argument("--device", help="cpu, cuda or cuda:N; by default CUDA where there is one")
    decode.add_argument("--dtype", help="float32, bfloat16 or float16; by default as the weights and the device suit")
    decode.add_argument("--threads", type=int, help="CPU threads of the network")
    decode.add_argument("--batch", type=int, default=1, help="requests decoded together; their seconds are all rows'")
    decode.add_argument("--attention", help="eager, sdpa or flash; by default the best that the device has")
    decode.add_argument("--no-graphs", action="store_true", help="on CUDA: launch kernels one by one, replay nothing")
    decode.set_defaults(run=_decode)

    drift = commands.add_parser("drift", help="measure what a cache did: a trace again, beside passes without cache")
    drift.add_argument("trace", type=Path, help=".json or .json.gz")
    drift.add_argument("--model", default="default", help="that of the trace")
    drift.add_argument("--out", type=Path, help="by default the trace's name with .drift.npz")
    drift.add_argument("--device", help="cpu, cuda or cuda:N; by default CUDA where there is one")
    drift.set_defaults(run=_drift)

    models = commands.add_parser("models", help="list the models that can be named")
    models.add_argument("--json", action="store_true", help="as JSON")
    models.set_defaults(run=_models)

    validate = commands.add_parser("validate", help="check trace files")
    validate.add_argument("traces", nargs="+", type=Path)
    validate.set_defaults(run=_validate)

    export = commands.add_parser("export", help="save a trace as a page that plays offline, an animation, or a table")
    export.add_argument("trace", type=Path, help="its attention and drift files are found beside it")
    export.add_argument("--format", default="html", help="html, gif, csv or json")
    export.add_argument("--out", type=Path, help="by default beside the trace")
    export.set_defaults(run=_export)

    add_measuring(commands)

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
    distill.add_argument("--device", help="cpu, cuda or cuda:N; by default CUDA where there is one")
    distill.set_defaults(run=_distill)

    convert = commands.add_parser("convert", help="convert an AR model to block diffusion by a low-rank adapter")
    convert.add_argument("--config", type=Path, required=True, help=".json or .toml; goes on from its checkpoint")
    convert.set_defaults(run=_convert)
    return parser


def _decode(args: argparse.Namespace) -> int:
    from dllm.engine import Engine, ForwardOptions
    from dllm.models.progress import TerminalBar
    from dllm.requests import Folder, answer_all

    failed = 0
    place = args.out or ("-" if args.traces is None else None)
    with ExitStack() as files:
        lines, out = sys.stdin, sys.stdout
        if args.requests != "-":  # bytes that are no text must spoil their own line only
            lines = files.enter_context(Path(args.requests).open(encoding="utf-8", errors="surrogateescape"))
        bar = TerminalBar(sys.stderr)
        options = ForwardOptions(args.attention, graphs=False if args.no_graphs else None)
        engine = Engine.load(
            args.model, device=args.device, dtype=args.dtype, threads=args.threads, progress=bar, options=options
        )
        bar.finish()
        engine.warm(peaks=args.traces is not None)
        folder = None if args.traces is None else Folder(args.traces, traces=True)
        if place not in ("-", None):
            out = files.enter_context(Path(place).open("w", encoding="utf-8"))
            folder = folder or Folder(Path(f"{place}.attention"))
        for result in answer_all(engine, lines, folder=folder, batch=args.batch):
            failed += "error" in result
            if place or "error" in result:
                out.write(json.dumps(result) + "\n")
                out.flush()
    return 1 if failed else 0


def _drift(args: argparse.Namespace) -> int:
    from dllm.engine import Engine
    from dllm.models.progress import TerminalBar
    from dllm.shadow import Shadow

    trace, place = Trace.load(args.trace), args.out or _beside(args.trace)
    if not place.resolve().parent.is_dir():  # said before minutes of measuring, not after
        raise ValueError(f"out is {str(place)!r}; allowed: a file in a folder that exists")
    bar = TerminalBar(sys.stderr)
    engine = Engine.load(args.model, device=args.device, progress=bar)
    bar.finish()
    shadow = Shadow(engine, trace)
    for done in shadow:
        print(f"\rstep {done} of {len(trace.steps)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    shadow.drift.save(place)
    mean, step = shadow.drift.largest()
    changed = shadow.drift.changed
    print(
        f"{place}: mean drift of keys is at most {mean:.4f}, in step {step + 1} of {len(trace.steps)}; "
        f"{len(changed)} best tokens changed, {sum(change.committed for change in changed)} of them committed"
    )
    return 0


def _beside(trace: Path) -> Path:
    return trace.with_name(re.sub(r"\.json(\.gz)?$", "", trace.name) + ".drift.npz")


def _models(args: argparse.Namespace) -> int:
    from dllm.cards import MODELS, described
    from dllm.models.families import FAMILIES

    if args.json:
        print(json.dumps({name: described(card) for name, card in MODELS.items()}, indent=1))
        return 0
    print("Memory is that of bfloat16: the weights, and the keys and values of 1,000 positions.\n")
    for name, card in MODELS.items():
        facts = described(card)
        needs = facts["memory"]
        size = f"{card.parameters / 1e9:5.2f} B {needs['weights'] / 1e9:5.1f} GB + {needs['cache'] / 1e6:3.0f} MB"
        print(f"{name:40} {size}  {card.licence}" + (f", {card.revision[:8]}" if card.revision else ""))
        mask = "autoregressive" if card.spec.mask_id is None else f"mask {card.spec.mask_id}"
        print(f"    {card.spec.name}, {' or '.join(card.spec.attentions)}, {mask}\n    {card.about}")
    print(
        f"""
random:NAME is a network of that shape without its weights, for measuring. Any folder with config.json and
safetensors of the families {", ".join(FAMILIES)}; any Llama or Qwen2 .gguf file; or
organisation/name@<40-digit commit> from the model hub."""
    )
    return 0


def _validate(args: argparse.Namespace) -> int:
    bad = 0
    for path in args.traces:
        try:
            trace = Trace.load(path)
            print(f"{path}: ok, {len(trace.steps)} steps, {len(trace.output)} tokens, {trace.stop_reason}")
        except (TraceError, OSError) as error:
            bad += 1
            print(f"{path}: {error}", file=sys.stderr)
    return 1 if bad else 0


def _export(args: argparse.Namespace) -> int:
    from visualize.export import EXPORTS
    from visualize.replay import Replay, stem

    if args.format not in EXPORTS:
        raise ValueError(f"format is {args.format!r}; allowed: {', '.join(EXPORTS)}")
    chosen, replay = EXPORTS[args.format], Replay.load(args.trace)
    out = args.out or args.trace.with_name(stem(args.trace) + chosen.suffix)
    if out.resolve() == args.trace.resolve():
        raise ValueError(f"out is {str(out)!r}, the trace itself; allowed: another file")
    out.write_bytes(chosen.make(replay, next(iter(replay.traces))))
    print(out)
    return 0


def _distill(args: argparse.Namespace) -> int:
    from dllm.training import distill

    source = distill.Source(args.kind, twin=args.twin, prompts=tuple(args.prompts))
    recipe = distill.Recipe(answers=args.answers)
    distill.main(
        args.out,
        source=source,
        documents=args.documents,
        seed=args.seed,
        recipe=recipe,
        device=args.device,
        report=_tell,
    )
    return 0


def _convert(args: argparse.Namespace) -> int:
    from dllm.training import convert

    adapter = convert.main(args.config, report=lambda entry: _tell(json.dumps(entry)))
    _tell(f"the adapter is {adapter}")
    return 0


def _tell(line: str) -> None:
    """Progress of long work, a line at a time."""
    print(line, flush=True)
