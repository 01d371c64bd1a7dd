"""`decode` answers requests, `models` lists what can be asked."""

import argparse
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from dllm.cli.common import DEVICE, progress_bar
from dllm.files import atomic_write, check_output


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
    from dllm.engine import Engine
    from dllm.engine.engine import ForwardOptions
    from dllm.engine.requests import OutputFolder, answer_requests, check_batch

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
        with progress_bar() as bar:
            engine = Engine.load(
                args.model, device=args.device, dtype=args.dtype, threads=args.threads, progress=bar, options=options
            )
        engine.warm(peaks=args.traces is not None)
        folder = None
        if args.traces is not None:
            folder = OutputFolder(args.traces, traces=True, taken=files)
        elif place != "-":
            folder = OutputFolder(Path(f"{place}.attention"), taken=files)
        with _answers(place or "-") as out:
            for result in answer_requests(engine, lines, folder=folder, batch=args.batch):
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
    with atomic_write(place, keep_on=(KeyboardInterrupt,)) as part, part.open("w", encoding="utf-8") as out:
        yield out


def add_models(commands: Any) -> None:
    """Enter `models` into the command line."""
    models = commands.add_parser("models", help="list the models that can be named")
    models.add_argument("--json", action="store_true", help="as JSON")
    models.set_defaults(run=_models)


def _models(args: argparse.Namespace) -> int:
    from dllm.engine.registry import MODELS, describe
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
