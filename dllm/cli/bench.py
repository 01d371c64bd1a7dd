"""The commands that measure: `bench` and `judge`."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dllm.cli.common import report
from dllm.files import check_output, write_file

if TYPE_CHECKING:
    from dllm.bench.passes import Load
    from dllm.bench.presets import Preset
    from dllm.engine import Engine

_UNTIMED_BATCH = "16"  # prompts decoded together if nothing is timed


def add_bench(commands: Any) -> None:
    """Enter `bench` into the command line."""
    bench = commands.add_parser("bench", help="compare ways of decoding on this machine: speed, score, exactness")
    bench.add_argument(
        "--suite",
        default="tasks",
        help="prompts: a name in assets/suites, or a JSON file; or cpu, gpu: forward passes and speeds of networks",
    )
    bench.add_argument("--model", default="default", help="a folder, a .gguf file, a name that `models` lists")
    bench.add_argument("--folder", type=Path, help="adapters of the default model, other than its own")
    bench.add_argument("--device", help="cpu, cuda or cuda:N; default: CUDA if there is a device")
    bench.add_argument("--dtype", help="float32, bfloat16 or float16; default: chosen from weights and device")
    bench.add_argument("--threads", type=int, help="CPU threads of the network")
    bench.add_argument(
        "--batch", metavar="SIZES", help="prompts decoded together, such as 1,4,16; default: 1, or 16 with --rounds 0"
    )
    bench.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help="ways of decoding (gpu: networks) whose name contains a word, such as 'verified|0.9'; and AR",
    )
    bench.add_argument("--limit", type=int, help="at most this many prompts of each kind")
    bench.add_argument("--rounds", type=int, default=3, help="timed decodings; the median counts; 0: not timed")
    bench.add_argument("--out", type=Path, help="the numbers as JSON; default: only the table is printed")
    bench.add_argument("--traces", type=Path, metavar="DIR", help="traces of a sample prompt; default: beside --out")
    bench.set_defaults(run=_bench)


def _bench(args: argparse.Namespace) -> int:
    if args.out is not None:  # before minutes of measuring, not after
        check_output("out", args.out, {"suite": args.suite, "model": args.model})
    if args.suite in ("cpu", "gpu"):
        return _bench_hardware(args)
    return _bench_suite(args)


def _bench_suite(args: argparse.Namespace) -> int:
    """Ways of decoding on the prompts of a suite."""
    from dllm.bench.plan import BenchPlan
    from dllm.bench.runner import Bench
    from dllm.bench.suite import Suite
    from dllm.bench.summary import table

    folder = args.traces or (args.out and args.out.with_suffix(""))
    if args.traces and args.out is None:
        raise ValueError(f"traces is {str(args.traces)!r} without out; allowed: both, because the numbers name them")
    sizes = (args.batch or ("1" if args.rounds else _UNTIMED_BATCH)).split(",")
    batches = tuple(int(size) if size.isdecimal() else 0 for size in sizes)
    plan = BenchPlan(args.only, batches, args.rounds, args.limit, traces=folder is not None)
    suite = Suite.load(args.suite)
    result = None
    for result in Bench(_engine(args), suite, plan, report=report):
        if args.out is not None:  # each time, so that being cut off loses little
            result.save(args.out, folder)
    assert result is not None
    print(table(result.benchmark.rows))
    return 0


def _bench_hardware(args: argparse.Namespace) -> int:
    """Forward passes and decoding speeds: of one network, or of published shapes on a CUDA device."""
    from dllm.bench.passes import measure
    from dllm.bench.targets import tables

    load, preset = _gpu(args) if args.suite == "gpu" else _cpu(args)
    result = None
    for result in measure(load, replace(preset, rounds=args.rounds), report):
        if args.out is not None:  # each time, so that being cut off loses little
            write_file(args.out, result.to_json())
    assert result is not None
    print(tables(result))
    return 0


def _cpu(args: argparse.Namespace) -> "tuple[Load, Preset]":
    from dllm.bench.hardware import TITLES, Way
    from dllm.bench.presets import CPU, SETTINGS
    from dllm.bench.ways import select

    wanted = select({TITLES[way]: SETTINGS[way] for way in CPU.ways}, args.only)
    ways = tuple(way for way in CPU.ways if way == Way.AR or TITLES[way] in wanted)
    return lambda _: _engine(args), replace(CPU, networks=(args.model,), ways=ways)


def _gpu(args: argparse.Namespace) -> "tuple[Load, Preset]":
    from dllm.bench.presets import GPU
    from dllm.engine import Engine
    from dllm.models.device import has_cuda

    names = tuple(name for name in GPU.networks if args.only in name)
    if not names:
        raise ValueError(f"only is {args.only!r}; allowed with suite gpu: a part of {', '.join(GPU.networks)}")
    if not has_cuda():
        raise ValueError(
            "suite is 'gpu', but this machine has no CUDA device; allowed here: cpu, or a suite of prompts"
        )
    return lambda name: Engine.load(name, device="cuda", dtype="bfloat16"), replace(GPU, networks=names)


def _engine(args: argparse.Namespace) -> "Engine":
    from dllm.engine import Engine

    return Engine.load(args.model, device=args.device, dtype=args.dtype, threads=args.threads, folder=args.folder)
