"""The commands that measure: `evaluate`, `bench` and `judge`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from dllm.trace import Trace


def add_measuring(commands: Any) -> None:
    """Enter them into the command line."""
    evaluate = commands.add_parser("evaluate", help="measure ways of decoding on a suite of prompts")
    evaluate.add_argument("--suite", default="tasks", help="a suite of assets/suites, or a JSON file like those")
    evaluate.add_argument("--model", default="default", help="a folder, a .gguf file, a name that `models` lists")
    evaluate.add_argument("--folder", type=Path, help="of adapters, instead of the default model's own")
    evaluate.add_argument(
        "--only", default="", metavar="WORDS", help="only ways whose name holds this, as verified or 0.9; | is or"
    )
    evaluate.add_argument("--limit", type=int, help="only so many prompts of each kind")
    evaluate.add_argument("--rows", type=int, default=16, help="prompts decoded together")
    evaluate.add_argument("--out", type=Path, help="the numbers as JSON; without it only the table is printed")
    evaluate.add_argument("--device", help="cpu, cuda or cuda:N; by default CUDA where there is one")
    evaluate.set_defaults(run=_evaluate)

    bench = commands.add_parser("bench", help="time ways of decoding on this machine, and say what their speed costs")
    bench.add_argument(
        "--suite",
        default="tasks",
        help="of assets/suites, a JSON file like those; or cpu: the network; or gpu: large shapes with random weights",
    )
    bench.add_argument("--model", default="default", help="a folder, a .gguf file, a name that `models` lists")
    bench.add_argument("--device", help="cpu, cuda or cuda:N; by default CUDA where there is one")
    bench.add_argument("--dtype", help="float32, bfloat16 or float16; by default as the weights and the device suit")
    bench.add_argument("--threads", type=int, help="CPU threads of the network")
    bench.add_argument("--batch", default="1", metavar="SIZES", help="prompts decoded together, such as 1,4,16")
    bench.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help="only ways (gpu: networks) whose name holds this, such as 0.9; and AR",
    )
    bench.add_argument("--limit", type=int, help="only so many prompts of each kind")
    bench.add_argument("--rounds", type=int, default=3, help="how often everything is decoded; the median counts")
    bench.add_argument("--out", type=Path, help="the numbers as JSON; without it only the table is printed")
    bench.add_argument("--traces", type=Path, metavar="DIR", help="of a sample prompt; by default beside --out")
    bench.set_defaults(run=_bench)

    judge = commands.add_parser(
        "judge", help="hold answers of traces against the exact decoders, and keep what is found"
    )
    judge.add_argument("traces", nargs="+", type=Path, help=".json or .json.gz; each is written anew with its gate")
    judge.add_argument("--model", default="default", help="that of the traces")
    judge.add_argument("--device", help="cpu, cuda or cuda:N; by default CUDA where there is one")
    judge.set_defaults(run=_judge)


def _evaluate(args: argparse.Namespace) -> int:
    from dllm.engine import Engine
    from dllm.evaluate import document, evaluate
    from dllm.report import table
    from dllm.suite import Suite

    if args.out is not None and not args.out.resolve().parent.is_dir():  # said before minutes of decoding, not after
        raise ValueError(f"out is {str(args.out)!r}; allowed: a file in a folder that exists")
    suite = Suite.load(args.suite)
    engine = Engine.load(args.model, device=args.device, folder=args.folder)
    rows = []
    for row in evaluate(engine, suite, only=args.only, rows=args.rows, limit=args.limit):
        rows.append(row)
        print(f"{row.name}: {row.answers} answers in {row.seconds:.0f} s", file=sys.stderr, flush=True)
        if args.out is not None:  # after each, so that being cut off loses one row
            args.out.write_text(json.dumps(document(engine, suite, rows), indent=1) + "\n")
    print(table([row.as_json() for row in rows]))
    return 0


def _bench(args: argparse.Namespace) -> int:
    from dllm.bench import Bench, Plan
    from dllm.benchmark import table
    from dllm.engine import Engine
    from dllm.suite import Suite

    _check_folder(args.out)
    if args.suite == "cpu":
        return _bench_network(args)
    if args.suite == "gpu":
        return _bench_hardware(args)
    folder = args.traces or (args.out and args.out.with_suffix(""))
    if args.traces and args.out is None:
        raise ValueError(f"traces is {str(args.traces)!r} without out; allowed: both, because the numbers name them")
    batches = tuple(int(size) if size.isdecimal() else 0 for size in args.batch.split(","))
    plan = Plan(args.only, batches, args.rounds, args.limit, traces=folder is not None)
    suite = Suite.load(args.suite)
    engine = Engine.load(args.model, device=args.device, dtype=args.dtype, threads=args.threads)
    result = None
    for result in Bench(engine, suite, plan, report=_progress):
        if args.out is not None:  # each time, so that being cut off loses little
            result.save(args.out, folder)
    assert result is not None
    print(table(result.benchmark.rows))
    return 0


def _bench_network(args: argparse.Namespace) -> int:
    """What the network does on this machine, without a suite."""
    from dllm.engine import Engine
    from dllm.speed import measure, table

    engine = Engine.load(args.model, device=args.device, dtype=args.dtype, threads=args.threads)
    result = measure(engine, rounds=args.rounds, report=_progress)
    if args.out is not None:
        args.out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))
    return 0


def _bench_hardware(args: argparse.Namespace) -> int:
    """What a CUDA device does with networks of published shapes."""
    from dllm.aims import table
    from dllm.engine import Engine
    from dllm.gpu import NETWORKS, Plan, measure
    from dllm.models.memory import has_cuda

    names = [name for name in NETWORKS if args.only in name]
    if not names:
        raise ValueError(f"only is {args.only!r}; allowed with suite gpu: a part of {', '.join(NETWORKS)}")
    if not has_cuda():
        raise ValueError(
            "suite is 'gpu', but this machine has no CUDA device; allowed here: cpu, or a suite of prompts"
        )

    def load(name: str) -> Engine:
        return Engine.load(name, device="cuda", dtype="bfloat16")

    result = None
    for result in measure(load, names, _progress, plan=Plan(rounds=args.rounds)):
        if args.out is not None:  # each time, so that being cut off loses little
            args.out.write_text(result.to_json())
    assert result is not None
    print(table(result))
    return 0


def _check_folder(out: Path | None) -> None:
    """Said before minutes of measuring, not after."""
    if out is not None and not out.resolve().parent.is_dir():
        raise ValueError(f"out is {str(out)!r}; allowed: a file in a folder that exists")


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _judge(args: argparse.Namespace) -> int:
    """Each trace in the dtype it was decoded in: in another an exact decoder writes another answer."""
    from dllm.engine import Engine
    from dllm.judge import Judge
    from visualize.gate import words

    traces = {path: Trace.load(path) for path in args.traces}
    if len(dtypes := sorted({trace.model.dtype for trace in traces.values()})) > 1:
        raise ValueError(f"the traces are in {' and '.join(dtypes)}; allowed: one dtype at a time")
    engine = Engine.load(args.model, device=args.device, dtype=dtypes[0])
    judges: dict[tuple[int, ...], Judge] = {}
    for path, trace in traces.items():
        _progress(f"{path}: decoding exactly…")
        judge = judges.setdefault(tuple(trace.prompt), Judge(engine))
        for _ in judge.judge(trace):
            pass
        judged = judge.judged(trace)
        judged.save(path)
        print(f"{path}: {words(judged)}")
    return 0
