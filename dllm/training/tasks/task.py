"""A task: a prompt, its right answer and what checks any answer; how wordings and operands are split in two."""

import json
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from dllm.bench.suite import CHECKS

Operand = tuple[Any, ...]
_DATA = Path(__file__).parents[3] / "assets/training"
_MAX_DRAWS = 2000  # draws until an operand lies on the side that is wanted; one in five is held out

# Operands that are never held out: those of the page's own examples, by skill
TRAINED: dict[str, tuple[Operand, ...]] = {
    "capitals": (("France",),),
    "opposites": (("hot", "cold"),),
    "code": (("add",), ("is_even",)),
    "lists": (("fruits",), ("animals",), ("colors",)),
    "copying": (("The sun is bright.",),),
    "counting": ((1, 10), (1, 5)),
}


@cache
def load(name: str) -> Any:
    """A hand-written file of `assets/training`."""
    return json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))


def wordings(skill: str, question: str) -> tuple[str, ...]:
    """The wordings of a skill's question; at least four, of which every fourth is held out."""
    return tuple(load("wordings")[skill][question])


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt with its answer. `check` is one of `dllm.bench.suite.CHECKS`: the answer passes, the prompt not."""

    skill: str
    prompt: str
    answer: str
    check: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Solved:
    """What an operand comes to: the `fields` that its wordings name, the answer, and its check."""

    fields: dict[str, Any]
    answer: str
    check: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of question in several wordings, all answered in one form.

    `by`: so many of the operand's first parts decide which side it is on; None stands for all.
    """

    wordings: tuple[str, ...]
    operand: Callable[[random.Random], Operand]
    solve: Callable[[Operand], Solved]
    by: int | None = None
    weight: float = 1.0

    def worded(self, held_out: bool) -> tuple[str, ...]:
        """The wordings of one side."""
        return tuple(text for i, text in enumerate(self.wordings) if (i % 4 == 3) == held_out)


@dataclass(frozen=True, slots=True)
class Skill:
    """Questions that are learnt together. `weight`: how often it is drawn beside other skills."""

    name: str
    questions: tuple[Question, ...]
    weight: float = 1.0

    @property
    def wordings(self) -> tuple[str, ...]:
        """All wordings of all questions."""
        return tuple(text for question in self.questions for text in question.wordings)


def key(skill: str, operand: Operand) -> str:
    """An operand's name, the same in any order of its parts: 3 + 4 is on the same side as 4 + 3."""
    return "/".join([skill, *sorted(map(str, operand))])


def is_held_out(skill: str, operand: Operand) -> bool:
    """Whether an operand belongs to the suite alone: one in five, whatever else there is."""
    name = key(skill, operand)
    if name in {key(skill, trained) for trained in TRAINED.get(skill, ())}:
        return False
    return zlib.crc32(name.encode()) % 5 == 0


def draw_of(skill: Skill, rng: random.Random, *, held_out: bool) -> Task:
    """A task of one skill, its wording and its operand both from the side that is wanted.

    Raises:
        ValueError: a question of the skill has no operand on that side.
    """
    question = rng.choices(skill.questions, [q.weight for q in skill.questions])[0]
    for _ in range(_MAX_DRAWS):
        operand = question.operand(rng)
        if is_held_out(skill.name, operand[: question.by]) != held_out:
            continue
        solved = question.solve(operand)
        prompt = rng.choice(question.worded(held_out)).format(**solved.fields)
        if not right(solved.check, prompt):
            return Task(skill.name, prompt, solved.answer, solved.check)
    side = "held-out" if held_out else "trained"
    raise ValueError(f"{question.wordings[0]!r} has no {side} operand; allowed: questions with operands on both sides")


def right(check: dict[str, Any], text: str) -> bool:
    """Whether a text fulfils a check, as `dllm.bench.suite.is_correct` would say of an item with it."""
    return all(CHECKS[name][1](_adapter(name).validate_python(value), text) for name, value in check.items())


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(CHECKS[name][0])
