"""Reading the recorded runs in tests/goldens."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from dllm.engine import Engine

GOLDENS = Path(__file__).parent / "goldens"


@cache
def golden(name: str) -> Any:
    """A recorded set."""
    return json.loads(gzip.decompress((GOLDENS / f"{name}.json.gz").read_bytes()))


@cache
def engine(name: str) -> Engine:
    """The network a set was recorded with."""
    return Engine.load(str(GOLDENS / name), device="cpu")
