"""Imports go down only, and what must run without torch does."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import HOUSE, arrows, cycle, imports, modules, room_of, violations

ROOT = Path(__file__).parents[1]


def test_imports_go_down_only() -> None:
    assert violations(ROOT) == []


def test_no_module_waits_for_itself() -> None:
    assert cycle(ROOT) == []


def test_the_checker_sees_the_project() -> None:
    seen = {item.module for item in imports(ROOT)}
    assert {"app.py", "app.page", "dllm.decode", "dllm.engine.run", "dllm.models.loader", "visualize.stage"} <= seen
    rooms = {room.name for module in modules(ROOT) if (room := room_of(module))}
    assert rooms == {room.name for room in HOUSE}


def test_a_room_is_above_all_that_it_uses() -> None:
    names = [room.name for room in HOUSE]
    assert [(room.name, name) for i, room in enumerate(HOUSE) for name in room.below if name not in names[:i]] == []


def test_only_the_command_line_imports_training() -> None:
    importing = {room_of(item.module) for item in imports(ROOT) if item.target.startswith("dllm.training")}
    assert {room.name for room in importing if room} == {"dllm.training", "dllm.training.tasks", "dllm.cli"}


def test_every_folder_says_what_lives_there_and_what_it_may_import() -> None:
    """In the docstring of its `__init__`: two sentences, the second of which names rooms and packages of HOUSE."""
    known = modules(ROOT)
    for folder, path in known.items():
        if path.name != "__init__.py":
            continue
        text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
        about, _, allowed = text.partition("May import")
        assert about.strip(), f"{path} does not say what lives there"
        inside = {
            room_of(module)
            for module in known
            if module not in ("app.py", "dllm.__main__")
            and module.rpartition(".")[0] == folder
            and known[module].name != "__init__.py"
        }
        missing = {
            name
            for room in inside
            if room
            for name in (*room.below, *room.packages)
            if name not in " ".join(allowed.split())
        }
        assert missing == set(), f"{path} does not say that it may import {', '.join(sorted(missing))}"


def test_arrows_are_few() -> None:
    """A room used by another is one arrow, however many imports: the plan must fit on a page."""
    assert len(arrows(ROOT)) <= 50


def test_a_module_is_short_enough_to_read() -> None:
    lines = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules(ROOT).values()}
    assert {path: count for path, count in lines.items() if count > 300} == {}


PLANTED = {
    "a package on floor 0": (
        "dllm/step.py",
        "import numpy as np",
        "dllm/step.py:1 imports numpy; the ground may use the standard library only",
    ),
    "torch in a decoder": (
        "dllm/decode.py",
        "from torch import Tensor",
        "imports torch; the decoders may use the standard library, numpy only, because",
    ),
    "torch inside a function": (
        "dllm/cache/d2.py",
        "def f():\n    import torch.nn",
        "dllm/cache/d2.py:2 imports torch.nn; the decoders",
    ),
    "torch for type checkers": (
        "dllm/engine/run.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch",
        "dllm/engine/run.py:3 imports torch; dllm.engine",
    ),
    "torch by name": (
        "visualize/chart.py",
        "import importlib\nimportlib.import_module('torch')",
        "visualize/chart.py:2 imports torch; visualize",
    ),
    "torch on the page": ("app/page.py", "import torch", "app/page.py:1 imports torch; app "),
    "torch at the start": ("app.py", "import torch", "app.py:1 imports torch; app.py"),
    "gradio in a picture": ("visualize/deep/chart.py", "import gradio as gr", "imports gradio; visualize"),
    "gradio in a model": ("dllm/models/loader.py", "import gradio", "imports gradio; dllm.models"),
    "a step up": (
        "dllm/canvas.py",
        "from dllm.trace import Trace",
        "imports dllm.trace, which is dllm.trace; the ground may import no other room",
    ),
    "a step up, relative": (
        "dllm/cache/d2.py",
        "from ..models.loader import load",
        "imports dllm.models.loader, which is dllm.models; the decoders may import the ground,",
    ),
    "a step up, by a submodule": (
        "dllm/unmask.py",
        "from dllm import engine",
        "imports dllm.engine, which is dllm.engine; the decoders",
    ),
    "the page from the engine": (
        "dllm/engine/run.py",
        "from app.page import build",
        "imports app.page, which is app; dllm.engine",
    ),
    "an engine in a picture": (
        "visualize/chart.py",
        "import dllm.engine",
        "imports dllm.engine, which is dllm.engine; visualize",
    ),
    "training from the page": (
        "app/page.py",
        "def f():\n    from dllm.training import convert",
        "app/page.py:2 imports dllm.training.convert, which is dllm.training; app",
    ),
    "training from a model": (
        "dllm/models/loader.py",
        "import dllm.training",
        "imports dllm.training, which is dllm.training; dllm.models",
    ),
    "tests from the engine": (
        "dllm/engine/run.py",
        "from tests.house import HOUSE",
        "imports tests.house; dllm.engine may use the standard library",
    ),
    "a benchmark's runner in a picture": (
        "visualize/chart.py",
        "from dllm.bench.runner import Bench",
        "imports dllm.bench.runner, which is dllm.bench; visualize",
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
        "dllm/trace/__init__.py": "import pydantic\nfrom dllm import step",
        "dllm/decode.py": "import numpy.linalg\nfrom dllm import canvas",
        "dllm/unmask.py": "",
        "dllm/cache/__init__.py": "from .d2 import D2",
        "dllm/cache/d2.py": "from ..step import Step",
        "dllm/models/__init__.py": "",
        "dllm/models/loader.py": "import torch\nfrom dllm.trace import Trace",
        "dllm/engine/__init__.py": "",
        "dllm/engine/run.py": "def load():\n    from dllm.models.loader import load",
        "dllm/training/__init__.py": "",
        "dllm/training/convert.py": "import torch\nfrom dllm.models import loader",
        "dllm/bench/__init__.py": "",
        "dllm/bench/document.py": "import pydantic",
        "dllm/bench/runner.py": "from dllm.engine import run",
        "dllm/cli/__init__.py": "from dllm.training import convert",
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


def test_the_ground_may_name_arrays_for_type_checkers(small_house: Path) -> None:
    (small_house / "dllm/step.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy\n")
    assert violations(small_house) == []
    (small_house / "dllm/step.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n")
    [found] = violations(small_house)
    assert "dllm/step.py:3 imports torch; the ground may use the standard library only" in found


def test_a_planted_ring_is_found(small_house: Path) -> None:
    (small_house / "dllm/step.py").write_text("from dllm.canvas import Canvas")
    assert cycle(small_house) == ["dllm.step", "dllm.canvas", "dllm.step"]
    (small_house / "dllm/step.py").write_text("def f():\n    from dllm.canvas import Canvas")
    assert cycle(small_house) == []
    (small_house / "dllm/step.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from dllm.canvas import Canvas"
    )
    assert cycle(small_house) == ["dllm.step", "dllm.canvas", "dllm.step"]


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
        (["dllm.trace", "dllm.bench.document", "visualize"], ["torch", "transformers", "tokenizers", "gradio"]),
        (["dllm.decode", "dllm.cache", "dllm.unmask"], ["torch", "transformers", "tokenizers", "gradio", "pydantic"]),
        (["dllm.engine", "dllm.cli", "dllm.bench", "dllm.models.base_model"], ["torch", "transformers", "gradio"]),
        (["app"], ["torch", "transformers"]),
    ],
    ids=lambda names: names[0],
)
def test_it_loads_without_torch(names: list[str], blocked: list[str]) -> None:
    assert import_behind_a_wall(names, blocked) == ""


def test_the_wall_holds() -> None:
    assert "torch is behind the wall" in import_behind_a_wall(["dllm.models.loader"], ["torch"])


def test_the_plan_names_every_module() -> None:
    plan = set(re.findall(r"`([\w./]+)`", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")))
    found = {path.stem for path in modules(ROOT).values()} - {"__init__", "__main__", "app"}
    assert found - plan == set()
