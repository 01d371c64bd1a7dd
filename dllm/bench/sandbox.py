"""Runs code written by a model on test cases. The code is taken for hostile: two walls, each meant to hold alone.

First, the code is parsed and only a small part of the language is let through: no imports, no names or attributes but
short lists, no `**` and `<<`. Then a fresh interpreter runs it with no environment, no files, little time and memory.
Not covered: bugs of the interpreter itself, and systems without resource limits, where no code is run.
"""

import ast
import json
import re
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Sequence
from typing import Any

_LONGEST = 4000  # characters of code that are looked at; more is no short function, and trimming costs the square
_WALL_SECONDS = 5.0
NO_LIMITS = 3  # exit code of a child that could not set its limits

BUILTINS = (
    "abs", "all", "any", "bool", "chr", "dict", "enumerate", "filter", "float", "int", "len", "list", "map", "max",
    "min", "ord", "print", "range", "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip",
)  # fmt: skip
METHODS = (
    "append", "capitalize", "count", "endswith", "extend", "get", "index", "insert", "isalpha", "isdigit", "items",
    "join", "keys", "lower", "pop", "replace", "reverse", "sort", "split", "startswith", "strip", "title", "upper",
    "values",
)  # fmt: skip
# No try (it would catch a limit), class, with, yield, raise, global or match; no Pow and LShift among the operators
_NODES = (
    ast.Module, ast.FunctionDef, ast.Lambda, ast.arguments, ast.arg, ast.Return, ast.Expr, ast.Pass, ast.Assert,
    ast.Assign, ast.AugAssign, ast.AnnAssign, ast.NamedExpr, ast.For, ast.While, ast.If, ast.IfExp, ast.Break,
    ast.Continue, ast.Name, ast.Load, ast.Store, ast.Constant, ast.Attribute, ast.Call, ast.keyword, ast.Starred,
    ast.Subscript, ast.Slice, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp, ast.comprehension, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd,
    ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr, ast.BitXor,
    ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn,
    ast.JoinedStr, ast.FormattedValue,
)  # fmt: skip

# What the child runs. Its limits stand before it reads a byte of the code. Files stay shut: no descriptor above the
# three it has, none of which the code can name; `print` prints nothing, so the only output is the list of results.
CHILD = f"""
import json, sys
try:
    import resource as r
    for limit, value in ((r.RLIMIT_CPU, 2), (r.RLIMIT_AS, 512 << 20), (r.RLIMIT_FSIZE, 0), (r.RLIMIT_CORE, 0),
                         (r.RLIMIT_NOFILE, 3)):
        r.setrlimit(limit, (value, value))
except (ImportError, OSError, ValueError):
    sys.exit({NO_LIMITS})
job = json.loads(sys.stdin.read())
import builtins
allowed = {{name: getattr(builtins, name) for name in {BUILTINS!r}}}
room = {{"__builtins__": {{**allowed, "print": lambda *args, **options: None}}}}
try:
    exec(compile(job["code"], "answer", "exec"), room)
    out = json.dumps([room[job["name"]](*case) for case in job["cases"]])
except BaseException:
    sys.exit(1)
if len(out) > 100_000:
    sys.exit(1)
sys.stdout.write(out)
"""


class SandboxError(RuntimeError):
    """This machine cannot limit a process, so no foreign code is run on it."""


def passes_cases(answer: str, *, name: str | None, cases: Sequence[tuple[Sequence[Any], Any]]) -> bool:
    """Whether the code in `answer` gives the expected result in every case; each is (arguments, result), as JSON.

    name: the function to call; None takes the last function or lambda that is defined. Anything the code does wrong,
    refused, failed, or too slow, is False.

    Raises:
        SandboxError: the machine has no resource limits (Windows has none, macOS refuses some).
    """
    found = harmless_code(answer, name)
    if found is None:
        return False
    code, function = found
    if sys.platform == "win32":
        raise SandboxError("code is run only where the `resource` module can limit it; this is Windows")
    job = json.dumps({"code": code, "name": function, "cases": [list(arguments) for arguments, _ in cases]})
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", CHILD]
    try:
        done = subprocess.run(
            command,
            input=job,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_WALL_SECONDS,
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode == NO_LIMITS:
        raise SandboxError("this machine did not accept limits of CPU seconds, memory and files; no code is run here")
    if done.returncode:
        return False
    results = json.loads(done.stdout)
    return all(_same(result, wanted) for result, (_, wanted) in zip(results, cases, strict=True))


def harmless_code(answer: str, name: str | None = None) -> tuple[str, str] | None:
    """The code in an answer and the function to call in it, or None: no code, not harmless, or no such function."""
    tree = _tree(_lines(answer))
    if tree is None or not _harmless(tree):
        return None
    function = _function(tree, name)
    if function is None:
        return None
    try:
        return ast.unparse(tree), function
    except RecursionError:  # nested too deep
        return None


def _lines(answer: str) -> list[str]:
    """The code's lines, and perhaps prose after them: inside the first fence, else from the first function on."""
    if fence := re.search(r"```[ \t]*(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", answer, re.DOTALL | re.IGNORECASE):
        return textwrap.dedent(fence[1][:_LONGEST]).splitlines()
    if start := re.search(r"^[ \t]*((?:def|(?:\w+ *= *)?lambda)\b)", answer, re.MULTILINE):
        return answer[start.start(1) :][:_LONGEST].splitlines()
    inline = re.search(r"`((?:def|(?:\w+ *= *)?lambda)\b[^`\n]*)`", answer)
    return [inline[1][:_LONGEST]] if inline else []


def _tree(lines: list[str]) -> ast.Module | None:
    """The parsed code, with as few lines taken off its end as it needs to be code; None if none is left."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the answer's own escapes
        for end in range(len(lines), 0, -1):
            try:
                return ast.parse("\n".join(lines[:end]))
            except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deep
                continue
    return None


def _harmless(tree: ast.Module) -> bool:
    """Whether all of the code is on the lists above."""
    own = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return not any(name.startswith("_") for name in own) and all(_allowed(node, own) for node in ast.walk(tree))


def _allowed(node: ast.AST, own: set[str]) -> bool:
    """Whether this node, by itself, is on the lists; `own` are names that the code gives values."""
    match node:
        case ast.Name(id=name):
            return name in own or name in BUILTINS
        case ast.Attribute(attr=name):
            return name in METHODS
        case ast.FunctionDef(decorator_list=decorators):
            return not decorators
        case ast.FormattedValue(format_spec=width):
            return width is None  # a width is as long as its number says
        case ast.Constant(value=value):
            return value is None or isinstance(value, bool | int | float | str)
    return isinstance(node, _NODES)


def _function(tree: ast.Module, name: str | None) -> str | None:
    """The name of the function to call; a last lambda that has none is given one."""
    defined: list[str] = []
    for i, node in enumerate(tree.body):
        match node:
            case ast.FunctionDef(name=own) | ast.Assign(targets=[ast.Name(id=own)], value=ast.Lambda()):
                defined.append(own)
            case ast.Expr(value=ast.Lambda() as value):
                target = ast.Name("answer", ast.Store())
                tree.body[i] = ast.copy_location(ast.Assign([target], value, lineno=node.lineno), node)
                defined.append("answer")
    if name is not None:
        return name if name in defined else None
    return defined[-1] if defined else None


def _same(result: Any, wanted: Any) -> bool:
    """Equality of JSON values, in which True is not 1, though 1.0 is."""
    if isinstance(result, list) and isinstance(wanted, list):
        return len(result) == len(wanted) and all(map(_same, result, wanted))
    return isinstance(result, bool) == isinstance(wanted, bool) and result == wanted
