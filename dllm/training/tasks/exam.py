"""The suite "tasks": held-out wordings and operands only, and open prompts that no training text has.

It is generated from a seed: `python -m dllm.training.tasks.exam --seed 2 --out FILE`.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from dllm.bench.suite import OPEN
from dllm.files import write_file
from dllm.training.tasks import SKILLS, Skill, Task, draw_of
from dllm.training.tasks.task import read_data

_SUITE_NAME = "tasks"
PER_SKILL = 18
_OPEN_COUNT = 60
_REPEATS = 400  # draws in a row without a new prompt, after which a skill has no more

# by kind of writing: wordings, and the topics they are asked about
OPEN_PROMPTS = read_data("open_prompts", dict[str, dict[Literal["wordings", "topics"], list[str]]])


def exam(seed: int, per_skill: int, open_count: int = _OPEN_COUNT) -> dict[str, Any]:
    """A suite document, as `dllm.bench.suite.Suite.load` reads it: `per_skill` items of every skill, then open ones.

    The same numbers give the same document; no prompt occurs twice.

    Raises:
        ValueError: a number out of range, or more than there are different prompts.
    """
    most = sum(len(kind["wordings"]) * len(kind["topics"]) for kind in OPEN_PROMPTS.values())
    if per_skill < 1:
        raise ValueError(f"per_skill is {per_skill}; allowed: 1 or more")
    if not 0 <= open_count <= most:
        raise ValueError(f"open_count is {open_count}; allowed: 0 to {most}, as many as there are open prompts")
    items: list[dict[str, Any]] = []
    for skill in SKILLS.values():
        name = skill.name
        for number, task in enumerate(_different(skill, random.Random(f"{seed}/{name}"), per_skill), 1):
            items.append({"id": f"{name}-{number}", "kind": name, "prompt": task.prompt, "check": task.check})
    for number, prompt in enumerate(_open(random.Random(f"{seed}/{OPEN}"), open_count), 1):
        items.append({"id": f"{OPEN}-{number}", "kind": OPEN, "prompt": prompt})
    return {"name": _SUITE_NAME, "items": items}


def exam_text(document: dict[str, Any]) -> str:
    """A suite's file: JSON with a line for each item."""
    lines = ",\n".join(f"  {json.dumps(item, ensure_ascii=False)}" for item in document["items"])
    return f'{{"name": {json.dumps(document["name"])}, "items": [\n{lines}\n]}}\n'


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: writes the suite's file; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dllm.training.tasks.exam", description=__doc__)
    parser.add_argument("--seed", type=int, required=True, help="what the suite is drawn from")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--per-skill", type=int, default=PER_SKILL, help="items of each skill (default: %(default)s)")
    parser.add_argument("--open", type=int, default=_OPEN_COUNT, help="items without a check (default: %(default)s)")
    asked = parser.parse_args(arguments)
    try:
        write_file(asked.out, exam_text(exam(asked.seed, asked.per_skill, asked.open)))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _different(skill: Skill, rng: random.Random, count: int) -> list[Task]:
    """Held-out tasks of a skill, each with another prompt."""
    found: dict[str, Task] = {}
    repeats = 0
    while len(found) < count:
        task = draw_of(skill, rng, held_out=True)
        repeats = repeats + 1 if task.prompt in found else 0
        if repeats > _REPEATS:
            raise ValueError(
                f"per_skill is {count}; allowed for {skill.name}: 1 to {len(found)}, its different prompts"
            )
        found.setdefault(task.prompt, task)
    return list(found.values())


def _open(rng: random.Random, count: int) -> list[str]:
    """Open prompts, the kinds of writing in turn; a topic is repeated only when its kind has no other left."""
    decks: list[list[str]] = []
    for kind in OPEN_PROMPTS.values():
        wordings, topics = kind["wordings"], kind["topics"]
        deck: list[str] = []
        orders = [rng.sample(range(len(wordings)), len(wordings)) for _ in topics]
        for turn in range(len(wordings)):
            places = rng.sample(range(len(topics)), len(topics))
            deck += [wordings[orders[at][turn]].format(topic=topics[at]) for at in places]
        decks.append(deck)
    return [decks[i % len(decks)][i // len(decks)] for i in range(count)]


if __name__ == "__main__":
    sys.exit(main())
