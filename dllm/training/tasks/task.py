"""A task: a prompt, its right answer and a check of any answer; which wordings and operands are held out."""

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter

from dllm.bench.suite import CHECKS

Operand = tuple[Any, ...]
_T = TypeVar("_T")
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


def read_data(name: str, kind: type[_T]) -> _T:
    """A hand-written file of `assets/training`.

    Raises:
        ValidationError: the file is not of this kind.
    """
    return TypeAdapter(kind).validate_json((_DATA / f"{name}.json").read_bytes())


# by skill and question; at least four each, of which every fourth is held out
_WORDINGS = read_data("wordings", dict[str, dict[str, Annotated[tuple[str, ...], Field(min_length=4)]]])


def one_of(*pools: Sequence[Any]) -> Callable[[random.Random], Operand]:
    """Draws an operand: one item of each pool."""
    return lambda rng: tuple(rng.choice(pool) for pool in pools)


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt with its answer. `check` is one of `dllm.bench.suite.CHECKS`: the answer passes, the prompt not."""

    skill: str
    prompt: str
    answer: str
    check: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Solved:
    """A question about one operand: the fields of its wordings, the answer, and the answer's check."""

    fields: dict[str, Any]
    answer: str
    check: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of question in several wordings, all answered in one form.

    by: how many of the operand's first parts decide whether it is held out; None for all.
    """

    operand: Callable[[random.Random], Operand]
    solve: Callable[[Operand], Solved]
    by: int | None = None
    weight: float = 1.0
    wordings: tuple[str, ...] = ()

    def worded(self, held_out: bool) -> tuple[str, ...]:
        """The wordings of one side."""
        return tuple(text for i, text in enumerate(self.wordings) if (i % 4 == 3) == held_out)


@dataclass(frozen=True, slots=True)
class Skill:
    """Questions that are learnt together. weight: its share of the draws, relative to other skills."""

    name: str
    questions: tuple[Question, ...]
    weight: float = 1.0


def skill(name: str, /, weight: float = 1.0, **questions: Question) -> Skill:
    """A skill whose questions are worded by the file of wordings, under their names.

    Raises:
        ValueError: the file words other questions.
    """
    worded = _WORDINGS.get(name, {})
    if worded.keys() != questions.keys():
        raise ValueError(f"wordings.json has {name} as {list(worded)}; allowed: {', '.join(questions)}")
    return Skill(name, tuple(replace(q, wordings=worded[key]) for key, q in questions.items()), weight)


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
