"""Imports go down only, and what must run without torch does."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import HOUSE, cycle, imports, modules, room_of, violations

ROOT = Path(__file__).parents[1]


def test_imports_go_down_only() -> None:
    assert violations(ROOT) == []


def test_no_module_waits_for_itself() -> None:
    assert cycle(ROOT) == []


def test_the_checker_sees_the_project() -> None:
    seen = {item.module for item in imports(ROOT)}
    assert {"app.py", "app.page", "dllm.decode", "dllm.engine", "dllm.models.loader", "visualize.stage"} <= seen
    rooms = {room.name for module in modules(ROOT) if (room := room_of(module))}
    assert rooms == {room.name for room in HOUSE}


def test_only_the_command_line_imports_training() -> None:
    above = {room.name for room in HOUSE if "training" in room.below}
    assert above == {"the command line"}


def test_a_module_is_short_enough_to_read() -> None:
    lines = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules(ROOT).values()}
    assert {path: count for path, count in lines.items() if count > 300} == {}


PLANTED = {
    "a package on floor 0": (
        "dllm/step.py",
        "import numpy as np",
        "dllm/step.py:1 imports numpy; floor 0 may use the standard library only",
    ),
    "torch in a decoder": (
        "dllm/decode.py",
        "from torch import Tensor",
        "imports torch; floor 2 may use the standard library, numpy only, because",
    ),
    "torch inside a function": (
        "dllm/cache/d2.py",
        "def f():\n    import torch.nn",
        "dllm/cache/d2.py:2 imports torch.nn; floor 2",
    ),
    "torch for type checkers": (
        "dllm/engine.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch",
        "dllm/engine.py:3 imports torch; the engine",
    ),
    "torch by name": (
        "visualize/chart.py",
        "import importlib\nimportlib.import_module('torch')",
        "visualize/chart.py:2 imports torch; the pictures",
    ),
    "torch on the page": ("app/page.py", "import torch", "app/page.py:1 imports torch; the page"),
    "torch at the start": ("app.py", "import torch", "app.py:1 imports torch; the start"),
    "gradio in a picture": ("visualize/deep/chart.py", "import gradio as gr", "imports gradio; the pictures"),
    "gradio in a model": ("dllm/models/loader.py", "import gradio", "imports gradio; floor 3"),
    "a step up": (
        "dllm/canvas.py",
        "from dllm.trace import Trace",
        "imports dllm.trace, which is floor 1; floor 0 may import no other room",
    ),
    "a step up, relative": (
        "dllm/cache/d2.py",
        "from ..models.loader import load",
        "imports dllm.models.loader, which is floor 3; floor 2 may import floor 0,",
    ),
    "a step up, by a submodule": (
        "dllm/unmask.py",
        "from dllm import engine",
        "imports dllm.engine, which is the engine; floor 2",
    ),
    "the page from the engine": (
        "dllm/engine.py",
        "from app.page import build",
        "imports app.page, which is the page; the engine",
    ),
    "a decoder in a picture": (
        "visualize/chart.py",
        "import dllm.decode",
        "imports dllm.decode, which is floor 2; the pictures",
    ),
    "training from the page": (
        "app/page.py",
        "def f():\n    from dllm.training import convert",
        "app/page.py:2 imports dllm.training.convert, which is training; the page",
    ),
    "training from a model": (
        "dllm/models/loader.py",
        "import dllm.training",
        "imports dllm.training, which is training; floor 3",
    ),
    "tests from the engine": (
        "dllm/engine.py",
        "from tests.house import HOUSE",
        "imports tests.house; the engine may use the standard library",
    ),
    "a module without a room": ("dllm/news.py", "", "dllm/news.py belongs to no room"),
}


@pytest.fixture
def small_house(tmp_path: Path) -> Path:
    """A tree like the project's, in order."""
    files = {
        "app.py": "import os\nfrom app.page import build",
        "app/__init__.py": "",
        "app/page.py": "import gradio as gr\nfrom dllm.engine import Engine\nfrom visualize import chart",
        "dllm/__init__.py": "",
        "dllm/step.py": "import math",
        "dllm/canvas.py": "from dllm.step import Step",
        "dllm/trace.py": "import pydantic\nfrom . import step",
        "dllm/decode.py": "import numpy.linalg\nfrom dllm import canvas",
        "dllm/unmask.py": "",
        "dllm/cache/__init__.py": "from .d2 import D2",
        "dllm/cache/d2.py": "from ..step import Step",
        "dllm/models/__init__.py": "",
        "dllm/models/loader.py": "import torch\nfrom dllm.trace import Trace",
        "dllm/engine.py": "def load():\n    from dllm.models.loader import load",
        "dllm/training/__init__.py": "",
        "dllm/training/convert.py": "import torch\nfrom dllm.models import loader",
        "dllm/cli.py": "from dllm.training import convert",
        "visualize/__init__.py": "",
        "visualize/chart.py": "import plotly.graph_objects\nfrom dllm.trace import Trace",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_house_in_order_passes(small_house: Path) -> None:
    assert violations(small_house) == []
    assert cycle(small_house) == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(name: str, small_house: Path) -> None:
    file, text, message = PLANTED[name]
    (small_house / file).parent.mkdir(exist_ok=True)
    (small_house / file).write_text(text)
    [found] = violations(small_house)
    assert message in found


def test_floor_0_may_name_arrays_for_type_checkers(small_house: Path) -> None:
    (small_house / "dllm/step.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy\n")
    assert violations(small_house) == []
    (small_house / "dllm/step.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n")
    [found] = violations(small_house)
    assert "dllm/step.py:3 imports torch; floor 0 may use the standard library only" in found


def test_a_planted_ring_is_found(small_house: Path) -> None:
    (small_house / "dllm/step.py").write_text("from dllm.canvas import Canvas")
    assert cycle(small_house) == ["dllm.step", "dllm.canvas", "dllm.step"]
    (small_house / "dllm/step.py").write_text("def f():\n    from dllm.canvas import Canvas")
    assert cycle(small_house) == []


WITHOUT_TORCH = """
import importlib, pkgutil, sys
from importlib.abc import MetaPathFinder

class Wall(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(name + " is behind the wall", name=name)

sys.meta_path.insert(0, Wall())
for name in {names!r}:
    module = importlib.import_module(name)
    for inner in pkgutil.walk_packages(getattr(module, "__path__", []), name + "."):
        importlib.import_module(inner.name)
"""


def import_behind_a_wall(names: list[str], blocked: list[str]) -> str:
    """What the interpreter says when it imports `names`, and all modules in them, while `blocked` cannot be."""
    script = WITHOUT_TORCH.format(names=names, blocked=blocked)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stderr


@pytest.mark.parametrize(
    ("names", "blocked"),
    [
        (["dllm.step", "dllm.canvas", "dllm.settings"], ["torch", "transformers", "gradio", "numpy", "pydantic"]),
        (["dllm.trace", "dllm.metrics", "visualize"], ["torch", "transformers", "tokenizers", "gradio"]),
        (["dllm.decode", "dllm.cache", "dllm.unmask"], ["torch", "transformers", "tokenizers", "gradio", "pydantic"]),
        (["dllm.engine", "dllm.requests", "dllm.cli", "dllm.models.fetch"], ["torch", "transformers", "gradio"]),
        (["app"], ["torch", "transformers"]),
    ],
    ids=lambda names: names[0],
)
def test_it_loads_without_torch(names: list[str], blocked: list[str]) -> None:
    assert import_behind_a_wall(names, blocked) == ""


def test_the_wall_holds() -> None:
    assert "torch is behind the wall" in import_behind_a_wall(["dllm.models.loader"], ["torch"])
