"""`python -m dllm …`: decode, drift, models, validate, export, bench, judge, and the training commands."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from dllm import __version__
from dllm.cli.bench import add_bench
from dllm.cli.decode import add_decode, add_models
from dllm.cli.traces import add_drift, add_export, add_judge, add_validate
from dllm.cli.train import add_convert, add_distill

INTERRUPTED, NOBODY_READS = 130, 141  # exit codes, as a shell gives them for SIGINT and SIGPIPE


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
