"""What can be done with traces: `drift`, `validate`, `export`, `judge`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from dllm.cli.common import DEVICE, progress_bar, report
from dllm.files import check_output, write_file
from dllm.trace import Trace, TraceError


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
    from dllm.engine.drift import DriftReplay
    from visualize.replay import beside

    place = args.out or beside(args.trace, "drift")
    check_output("out", place, {"trace": args.trace, "its attention file": beside(args.trace, "attention")})
    trace = Trace.load(args.trace)
    with progress_bar() as bar:
        engine = Engine.load(args.model, device=args.device, progress=bar)
    shadow = DriftReplay(engine, trace)
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
    from visualize.export.formats import EXPORTS
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


def add_judge(commands: Any) -> None:
    """Enter `judge` into the command line."""
    judge = commands.add_parser(
        "judge", help="compare answers with those of exact decoders, and keep that in the traces"
    )
    judge.add_argument("traces", nargs="+", type=Path, help=".json or .json.gz; each is rewritten with the result")
    judge.add_argument("--model", default="default", help="the model that wrote the traces")
    judge.add_argument("--device", help="cpu, cuda or cuda:N; default: CUDA if there is a device")
    judge.set_defaults(run=_judge)


def _judge(args: argparse.Namespace) -> int:
    """Each trace in the dtype it was decoded in: in another an exact decoder writes another answer."""
    from dllm.bench.references import References
    from dllm.engine import Engine
    from visualize.comparison import comparison_sentence

    traces = {path: Trace.load(path) for path in args.traces}
    if len(dtypes := sorted({trace.model.dtype for trace in traces.values()})) > 1:
        raise ValueError(f"the traces are in {' and '.join(dtypes)}; allowed: one dtype at a time")
    engine = Engine.load(args.model, device=args.device, dtype=dtypes[0])
    known: dict[tuple[int, ...], References] = {}
    for path, trace in traces.items():
        report(f"{path}: decoding exactly…")
        references = known.setdefault(tuple(trace.prompt), References(engine))
        for _ in references.decode(trace):
            pass
        judged = references.compared(trace)
        judged.save(path)
        print(f"{path}: {comparison_sentence(judged)}")
    return 0
