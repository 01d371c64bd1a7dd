"""Foreign code: right is True, wrong is False, hostile is False and does nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.bench import sandbox
from dllm.bench.sandbox import SandboxError, harmless_code, passes_cases

ADD = [([2, 3], 5), ([-1, 1], 0)]

RIGHT = {
    "plain": "def add(a, b):\n    return a + b",
    "annotated": 'def add(a: int, b: int) -> int:\n    """Adds."""\n    return a + b',
    "fenced": "Sure!\n\n```python\ndef add(a, b):\n    return a + b\n\nprint(add(2, 3))  # 5\n```\nIt adds.",
    "fence cut off": "```python\ndef add(a, b):\n    return a + b\n",
    "prose after it": "Here it is.\ndef add(a, b):\n    return a + b\n\nThis function adds two numbers.",
    "indented": "    def add(a, b):\n        return a + b\n\n    Done.",
    "a named lambda": "add = lambda a, b: a + b",
    "a lambda": "lambda a, b: a + b",
    "a lambda in a sentence": "You can write `lambda a, b: a + b` for that.",
    "the last of two": "def one():\n    return 1\n\ndef add(a, b):\n    return a + b * one()",
    "an f-string": 'def add(a, b):\n    text = f"{a} and {b}"\n    return a + b if text else 0',
}

WRONG = {
    "no code": "The sum of 2 and 3 is 5.",
    "nothing": "",
    "the prompt": "Write a Python function add(a, b) that adds two numbers.",
    "another result": "def add(a, b):\n    return a - b",
    "one case right": "def add(a, b):\n    return 5",
    "text for a number": "def add(a, b):\n    return str(a + b)",
    "too few parameters": "def add(a):\n    return a",
    "no function": "```python\nx = 2 + 3\n```",
    "not finished": "```python\ndef add(a, b):",
    "no result": "def add(a, b):\n    print(a + b)",
    "a result that is no JSON": "def add(a, b):\n    return {a, b}",
}

HOSTILE = {
    "import": "import os\ndef f(a, b):\n    os.system('touch {mark}')\n    return a + b",
    "import inside": "def f(a, b):\n    import os\n    os.mkdir('{mark}')\n    return a + b",
    "from import": "def f(a, b):\n    from os import mkdir\n    mkdir('{mark}')\n    return a + b",
    "__import__": "def f(a, b):\n    __import__('os').mkdir('{mark}')\n    return a + b",
    "open": "def f(a, b):\n    open('{mark}', 'w')\n    return a + b",
    "eval": "def f(a, b):\n    eval(\"open('{mark}', 'w')\")\n    return a + b",
    "getattr": "def f(a, b):\n    getattr(a, '__cl' + 'ass__')\n    return a + b",
    "the subclasses": "def f(a, b):\n    ().__class__.__base__.__subclasses__()\n    return a + b",
    "a frame": "def f(a, b):\n    (i for i in []).gi_frame.f_builtins\n    return a + b",
    "format": "def f(a, b):\n    '{{0.__class__}}'.format(a)\n    return a + b",
    "a decorator": "```python\n@print\ndef f(a, b):\n    return a + b\n```",
    "a class": "class f:\n    def __new__(cls, a, b):\n        return a + b",
    "globals": "def f(a, b):\n    globals()\n    return a + b",
    "a name with an underscore": "def f(a, b):\n    _x = a + b\n    return _x",
    "power": "def f(a, b):\n    9 ** 9 ** 9\n    return a + b",
    "shift": "def f(a, b):\n    1 << 999999999999\n    return a + b",
    "a width": "def f(a, b):\n    f'{{a:999999999}}'\n    return a + b",
    "an attribute in an f-string": "def f(a, b):\n    f'{{a.__class__}}'\n    return a + b",
    "bytes": "def f(a, b):\n    b'x' * 9\n    return a + b",
    "exit": "```python\nexit()\ndef f(a, b):\n    return a + b\n```",
    "memory": "def f(a, b):\n    x = 'x' * 99999999999\n    return a + b",
    "a long list": "def f(a, b):\n    list(range(9999999999))\n    return a + b",
    "a long result": "def f(a, b):\n    return 'x' * 1000000",
    "a huge print": "def f(a, b):\n    print('x' * 99999999999)\n    return a + b",
    "itself": "def f(a, b):\n    return f(a, b)",
    "a ring": "def f(a, b):\n    x = []\n    x.append(x)\n    return x",
    "a deep expression": "def f(a, b):\n    return " + "-" * 3000 + "5",
    "a long sum": "def f(a, b):\n    return " + "1 + " * 900 + "5",
    "caught": "def f(a, b):\n    try:\n        exit()\n    except:\n        return a + b",
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_code_passes(name: str) -> None:
    assert passes_cases(RIGHT[name], name=None, cases=ADD)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_code_fails(name: str) -> None:
    assert not passes_cases(WRONG[name], name=None, cases=ADD)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_fails_and_does_nothing(name: str, tmp_path: Path) -> None:
    code = HOSTILE[name].format(mark=tmp_path / "mark") if "{" in HOSTILE[name] else HOSTILE[name]
    assert not passes_cases(code, name=None, cases=ADD)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_loop_ends() -> None:
    """Its limits end it, not this test."""
    assert not passes_cases("def f(a, b):\n    while True:\n        print(a)", name=None, cases=ADD)


def test_a_function_is_found_by_its_name() -> None:
    two = "def sub(a, b):\n    return a - b\n\ndef add(a, b):\n    return a + b\n"
    assert passes_cases(two, name="add", cases=ADD)
    assert passes_cases(two, name="sub", cases=[([5, 3], 2)])
    assert not passes_cases(two, name="total", cases=ADD)
    assert not passes_cases("lambda a, b: a + b", name="add", cases=ADD)


def test_results_are_compared_as_json() -> None:
    assert passes_cases("lambda x: (x, [x])", name=None, cases=[([1], [1, [1]])])
    assert passes_cases("lambda x: x / 2", name=None, cases=[([4], 2)])
    assert not passes_cases("lambda x: x", name=None, cases=[([1], True)])
    assert not passes_cases("lambda x: [x]", name=None, cases=[([1], [True])])
    assert not passes_cases("lambda x: [x]", name=None, cases=[([1], [1, 1])])


def test_the_second_wall_holds_without_the_first(tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    for code in (
        f"def f():\n    return open({mark!r}, 'w')",
        "import os\ndef f():\n    return 1",
        f"real = print.__globals__['sys'].modules['builtins'].open\ndef f():\n    real({mark!r}, 'w')",
        "def f():\n    text = 'x'\n    while True:\n        text = text + text",
    ):
        job = json.dumps({"code": code, "name": "f", "cases": [[]]})
        command = [sys.executable, "-I", "-S", "-c", sandbox.CHILD]
        done = subprocess.run(command, input=job, capture_output=True, text=True, timeout=30, env={}, check=False)
        assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (1, "", [])


def test_no_code_runs_where_it_cannot_be_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "CHILD", f"import sys; sys.exit({sandbox.NO_LIMITS})")
    with pytest.raises(SandboxError, match="did not accept limits"):
        passes_cases(RIGHT["plain"], name=None, cases=ADD)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SandboxError, match="Windows"):
        passes_cases(RIGHT["plain"], name=None, cases=ADD)
    assert not passes_cases(HOSTILE["import"], name=None, cases=ADD)  # refused before anything would run


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    harmless_code(text)
    harmless_code("def f(x):\n    " + text)


@given(st.from_regex(r"[a-z_]{1,12}", fullmatch=True))
def test_only_known_names_and_methods_are_let_through(name: str) -> None:
    used = harmless_code(f"def f(x):\n    return {name}(x)")
    assert used is None or name in {*sandbox.BUILTINS, "f", "x"}
    assert harmless_code(f"def f(x):\n    return x.{name}") is None or name in sandbox.METHODS
