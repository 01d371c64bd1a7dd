"""Tasks of short Python functions, each with the cases that it must pass."""

import random
from typing import Any

from dllm.training.tasks.task import Operand, Question, Skill, Solved, load, wordings

# by name: parameters; the task after "a function that"; the expression returned; cases as [arguments, result]
FUNCTIONS: dict[str, dict[str, Any]] = load("functions")
OTHER_NAMES = ("solve", "compute", "f", "helper", "my_function", "calculate", "process", "answer", "get_result", "run")


def _code(operand: Operand, name: str, *, bound: bool) -> Solved:
    """The function under a name; `bound`: the prompt names it and its parameters, so it must be called that."""
    function = FUNCTIONS[operand[0]]
    answer = f"```python\ndef {name}({function['parameters']}):\n    return {function['returns']}\n```"
    check = {"cases": function["cases"]}
    fields = {"task": function["task"], "name": name, "parameters": function["parameters"]}
    return Solved(fields, answer, {"code": {"name": name, **check} if bound else check})


def _free(operand: Operand) -> Solved:
    return _code(operand, operand[0], bound=False)


def _called(operand: Operand) -> Solved:
    return _code(operand, operand[1], bound=True)


def _function(rng: random.Random) -> Operand:
    return (rng.choice(tuple(FUNCTIONS)),)


def _function_and_name(rng: random.Random) -> Operand:
    function = rng.choice(tuple(FUNCTIONS))
    return function, function if rng.random() < 0.7 else rng.choice(OTHER_NAMES)


CODE = Skill(
    "code",
    (
        Question(wordings("code", "free"), _function, _free),
        Question(wordings("code", "called"), _function_and_name, _called, by=1),
    ),
    weight=2.5,
)
