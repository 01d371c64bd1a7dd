"""What user turns are about: openings that the model finishes itself, and whole questions from word lists.

Hand-written (`assets/training/topics.json`), so that the data has what a class would type.
"""

import random

from pydantic import BaseModel

from dllm.training.tasks.task import read_data


class _Topics(BaseModel, extra="forbid"):
    openings: list[str]
    templates: list[str]
    words: dict[str, list[str]]


_TOPICS = read_data("topics", _Topics)
TEMPLATES, WORDS = _TOPICS.templates, _TOPICS.words


def draw_topic(rng: random.Random) -> tuple[str, bool]:
    """The start of a user turn and whether it is complete: a quarter empty, a quarter openings, half complete."""
    kind = rng.randrange(4)
    if kind == 0:
        return "", False
    if kind == 1:
        return rng.choice(_TOPICS.openings), False
    small, more = rng.randint(1, 9), rng.randint(1, 9)
    numbers = {"a": rng.randint(2, 30), "b": small, "b2": more, "c": small + rng.randint(1, 12)}
    words = {name: rng.choice(choices) for name, choices in WORDS.items()}
    return rng.choice(TEMPLATES).format(**words, **numbers), True
