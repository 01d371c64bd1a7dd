"""Tasks of short Python functions, each with the cases that it must pass."""

import random
from typing import Any

from pydantic import BaseModel

from dllm.training.tasks.task import Operand, Question, Solved, one_of, read_data, skill


class _Function(BaseModel, extra="forbid"):
    parameters: str
    task: str  # after "a function that"
    returns: str  # an expression
    cases: list[list[Any]]  # [arguments, result] each


FUNCTIONS = read_data("functions", dict[str, _Function])
OTHER_NAMES = ("solve", "compute", "f", "helper", "my_function", "calculate", "process", "answer", "get_result", "run")


def _code(operand: Operand) -> Solved:
    """(function,) or (function, name): then the prompt names it and its parameters, so it must be called that."""
    function, name = FUNCTIONS[operand[0]], operand[-1]
    answer = f"```python\ndef {name}({function.parameters}):\n    return {function.returns}\n```"
    check = {"cases": function.cases} if len(operand) == 1 else {"name": name, "cases": function.cases}
    fields = {"task": function.task, "name": name, "parameters": function.parameters}
    return Solved(fields, answer, {"code": check})


def _function_and_name(rng: random.Random) -> Operand:
    function = rng.choice(tuple(FUNCTIONS))
    return function, function if rng.random() < 0.7 else rng.choice(OTHER_NAMES)


CODE = skill(
    "code",
    weight=2.5,
    free=Question(one_of(tuple(FUNCTIONS)), _code),
    called=Question(_function_and_name, _code, by=1),
)
