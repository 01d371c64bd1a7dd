"""`python -m dllm …`: decode, drift, models, validate, export, bench, judge, and the training commands."""

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from dllm import __version__
from dllm.files import check_not_read, check_output, replacing, write_file
from dllm.measuring import add_bench, add_judge
from dllm.trace import Trace, TraceError

INTERRUPTED, NOBODY_READS = 130, 141  # exit codes, as a shell gives them for SIGINT and SIGPIPE
DEVICE = "cpu, cuda or cuda:N; default: CUDA if there is a device"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 1 something failed, 2 wrong use)."""
    args = _parser().parse_args(argv)
    try:
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        with suppress(OSError):  # else Python reports what it cannot flush at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    except (ValueError, OSError) as error:
        print(f"dllm: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dllm", description="Block-diffusion decoding, without the page.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    traces = (add_decode, add_drift, add_models, add_validate, add_export)
    for add in (*traces, add_bench, add_judge, add_distill, add_convert):
        add(commands)
    return parser


def add_decode(commands: Any) -> None:
    """Enter `decode` into the command line."""
    decode = commands.add_parser("decode", help="answer a file of requests with traces, line by line")
    decode.add_argument("--model", default="default", help="a name that `models` lists, a folder, a .gguf file")
    decode.add_argument("--requests", default="-", help="JSON lines; -: standard input")
    decode.add_argument(
        "--out", help="JSON lines, there when all are answered; -: standard output, the default without --traces"
    )
    decode.add_argument("--traces", type=Path, metavar="DIR", help="keep each trace as DIR/ID.json.gz; print errors")
    decode.add_argument("--device", help=DEVICE)
    decode.add_argument("--dtype", help="float32, bfloat16 or float16; default: chosen from weights and device")
    decode.add_argument("--threads", type=int, help="CPU threads of the network")
    decode.add_argument(
        "--batch", type=int, default=1, help="requests decoded together; timings are then of shared passes"
    )
    decode.add_argument("--attention", help="eager, sdpa or flash; default: the fastest that the device has")
    decode.add_argument("--no-graphs", action="store_true", help="on CUDA: launch each kernel, without CUDA graphs")
    decode.set_defaults(run=_decode)


def _decode(args: argparse.Namespace) -> int:
    from dllm.engine import Engine, ForwardOptions
    from dllm.requests import Folder, answer_all, check_batch

    check_batch(args.batch)
    place = args.out or ("-" if args.traces is None else None)
    files = [Path("/dev/stdin" if args.requests == "-" else args.requests)]
    if place not in ("-", None):
        check_output("out", Path(place), {"requests": files[0], "model": args.model})
        files.append(Path(place))
    if args.traces is not None and args.traces.exists() and not args.traces.is_dir():
        raise ValueError(f"traces is {str(args.traces)!r}; allowed: a folder")
    failed = 0
    with _requests(args.requests) as lines:
        options = ForwardOptions(args.attention, graphs=False if args.no_graphs else None)
        with _progress_bar() as bar:
            engine = Engine.load(
                args.model, device=args.device, dtype=args.dtype, threads=args.threads, progress=bar, options=options
            )
        engine.warm(peaks=args.traces is not None)
        folder = None
        if args.traces is not None:
            folder = Folder(args.traces, traces=True, taken=files)
        elif place != "-":
            folder = Folder(Path(f"{place}.attention"), taken=files)
        with _answers(place or "-") as out:
            for result in answer_all(engine, lines, folder=folder, batch=args.batch):
                failed += "error" in result
                if place or "error" in result:
                    out.write(json.dumps(result) + "\n")
                    out.flush()
    return 1 if failed else 0


@contextmanager
def _requests(place: str) -> Iterator[TextIO]:
    """The lines of a file or of standard input. Bytes that are not UTF-8 spoil only the line that holds them."""
    if place == "-":
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
        yield sys.stdin
        return
    with Path(place).open(encoding="utf-8", errors="surrogateescape") as lines:
        yield lines


@contextmanager
def _answers(place: str) -> Iterator[TextIO]:
    """Standard output, or a file that is there when all is answered, or when Ctrl-C stops it."""
    if place == "-":
        yield sys.stdout
        return
    with replacing(place, keep_on=(KeyboardInterrupt,)) as part, part.open("w", encoding="utf-8") as out:
        yield out


@contextmanager
def _progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error."""
    from dllm.models.progress import TerminalBar

    bar = TerminalBar(sys.stderr)
    yield bar
    bar.finish()


def add_drift(commands: Any) -> None:
    """Enter `drift` into the command line."""
    drift = commands.add_parser("drift", help="measure what a cache did: a trace again, beside passes without cache")
    drift.add_argument("trace", type=Path, help=".json or .json.gz")
    drift.add_argument("--model", default="default", help="the model that wrote the trace")
    drift.add_argument("--out", type=Path, help="default: the trace's name with .drift.npz")
    drift.add_argument("--device", help=DEVICE)
    drift.set_defaults(run=_drift)


def _drift(args: argparse.Namespace) -> int:
    from dllm.engine import Engine
    from dllm.shadow import Shadow
    from visualize.replay import beside

    place = args.out or beside(args.trace, "drift")
    check_output("out", place, {"trace": args.trace, "its attention file": beside(args.trace, "attention")})
    trace = Trace.load(args.trace)
    with _progress_bar() as bar:
        engine = Engine.load(args.model, device=args.device, progress=bar)
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


def add_models(commands: Any) -> None:
    """Enter `models` into the command line."""
    models = commands.add_parser("models", help="list the models that can be named")
    models.add_argument("--json", action="store_true", help="as JSON")
    models.set_defaults(run=_models)


def _models(args: argparse.Namespace) -> int:
    from dllm.cards import MODELS, describe
    from dllm.models.families import FAMILIES

    if args.json:
        print(json.dumps({name: describe(card) for name, card in MODELS.items()}, indent=1))
        return 0
    print("Memory is that of bfloat16: the weights, and the keys and values of 1,000 positions.\n")
    for name, card in MODELS.items():
        facts = describe(card)
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


def add_validate(commands: Any) -> None:
    """Enter `validate` into the command line."""
    validate = commands.add_parser("validate", help="check trace files")
    validate.add_argument("traces", nargs="+", type=Path)
    validate.set_defaults(run=_validate)


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


def add_export(commands: Any) -> None:
    """Enter `export` into the command line."""
    export = commands.add_parser("export", help="save a trace as a page that plays offline, an animation, or a table")
    export.add_argument("trace", type=Path, help="its attention and drift files are found beside it")
    export.add_argument("--format", default="html", help="html, gif, csv or json")
    export.add_argument("--out", type=Path, help="default: beside the trace")
    export.set_defaults(run=_export)


def _export(args: argparse.Namespace) -> int:
    from visualize.export import EXPORTS
    from visualize.replay import Replay, beside, stem

    if args.format not in EXPORTS:
        raise ValueError(f"format is {args.format!r}; allowed: {', '.join(EXPORTS)}")
    chosen = EXPORTS[args.format]
    out = args.out or args.trace.with_name(stem(args.trace) + chosen.suffix)
    sides = {f"its {kind} file": beside(args.trace, kind) for kind in ("attention", "drift")}
    check_output("out", out, {"trace": args.trace, **sides})
    replay = Replay.load(args.trace)
    write_file(out, chosen.make(replay, next(iter(replay.traces))))
    print(out)
    return 0


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
    check_not_read("out", args.out, {f"prompts[{n}]": path for n, path in enumerate(args.prompts)})
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
        report=_tell,
    )
    return 0


def add_convert(commands: Any) -> None:
    """Enter `convert` into the command line."""
    convert = commands.add_parser("convert", help="convert an AR model to block diffusion by a low-rank adapter")
    convert.add_argument("--config", type=Path, required=True, help=".json or .toml; goes on from its checkpoint")
    convert.set_defaults(run=_convert)


def _convert(args: argparse.Namespace) -> int:
    from dllm.training import convert

    adapter = convert.convert(args.config, report=lambda entry: _tell(json.dumps(entry)))
    _tell(f"the adapter is {adapter}")
    return 0


def _tell(line: str) -> None:
    """Progress of long work, a line at a time."""
    print(line, flush=True)
