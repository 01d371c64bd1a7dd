"""The suite "tasks", made of held-out wordings and operands alone, and of open prompts that no training text has.

It is made from a seed before any model has answered it: `python -m dllm.training.tasks.exam --seed 2 --out FILE`.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dllm.bench.suite import OPEN
from dllm.files import write_file
from dllm.training.tasks import SKILLS, Skill, Task, draw_of

_SUITE_NAME = "tasks"
PER_SKILL = 18
_OPEN_COUNT = 60
_REPEATS = 400  # draws in a row without a new prompt, after which a skill has no more

# Kind of writing: wordings, and what they are asked about
OPEN_PROMPTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "story": (
        (
            "Tell me a story in which {topic}.", "Write a story of five sentences in which {topic}.",
            "Make up a tale in which {topic}.", "Begin a story in which {topic}.",
        ),
        (
            "a clockmaker hears a strange noise", "an old boat comes home alone", "two sisters find a hidden garden",
            "a baker loses her recipe book", "a boy follows a paper plane", "a snowman does not melt",
            "a violin plays by itself", "a postman delivers the wrong parcel", "the lights of a village go out",
            "a cat becomes the mayor", "an astronaut plants a tree", "a shy knight learns to dance",
        ),
    ),
    "explanation": (
        (
            "Can you explain to me {topic}?", "In plain words, explain {topic}.",
            "Explain {topic} in four sentences.", "I never understood {topic}. Please explain it.",
        ),
        (
            "how glass is made", "why leaves change their color", "how an airplane stays in the air",
            "why the sea is salty", "how bees make honey", "why ice floats on water", "how a lock and a key work",
            "why we dream", "how a thermometer works", "what a sorting algorithm does", "how mountains are formed",
            "why metal feels cold",
        ),
    ),
    "advice": (
        (
            "What would you advise me: {topic}?", "I need some advice: {topic}?", "Please help me decide: {topic}?",
            "Give me a few hints: {topic}?",
        ),
        (
            "how can I wake up earlier", "how do I make new friends in a new town", "what can I cook for ten guests",
            "how do I remember names better", "how can I stop biting my nails", "which gift suits a grandfather",
            "how do I stay calm in traffic", "how can I keep my desk tidy", "how do I start a small garden",
            "how can I read more books", "how do I say no to a friend", "what should I pack for a week of hiking",
        ),
    ),
    "description": (
        (
            "Paint a picture in words of {topic}.", "Describe {topic} as if you were there.",
            "What might {topic} look like?", "Describe {topic} in a few lines.",
        ),
        (
            "an abandoned railway station", "a street after heavy rain", "a workshop full of old clocks",
            "a lively harbor in the morning", "a cabin in deep snow", "the attic of an old house",
            "a train full of tourists", "a field of sunflowers", "a crowded bakery on a Sunday", "a storm over a lake",
            "an underwater city", "a quiet reading room",
        ),
    ),
    "letter": (
        (
            "Write a letter {topic}.", "Write a friendly note {topic}.", "Draft a short letter {topic}.",
            "Help me write a few lines {topic}.",
        ),
        (
            "to a neighbor whose dog barks at night", "to a cousin who has just moved abroad",
            "to a librarian about a lost book", "to thank a doctor", "to a friend who won a race",
            "to apologize for a broken window", "to ask a landlord for a repair", "to invite a colleague for a walk",
            "to a hotel about a forgotten coat", "to welcome a new member of a club", "to cancel a music lesson",
            "to a pen friend about my town",
        ),
    ),
}  # fmt: skip


def exam(seed: int, per_skill: int, open_count: int = _OPEN_COUNT) -> dict[str, Any]:
    """A suite document, as `dllm.bench.suite.Suite.load` reads it: so many items of every skill, then open ones.

    The same numbers give the same document; no prompt occurs twice.

    Raises:
        ValueError: a number out of range, or more than there are different prompts.
    """
    most = sum(len(wordings) * len(topics) for wordings, topics in OPEN_PROMPTS.values())
    if per_skill < 1:
        raise ValueError(f"per_skill is {per_skill}; allowed: 1 or more")
    if not 0 <= open_count <= most:
        raise ValueError(f"open_count is {open_count}; allowed: 0 to {most}, as many as there are open prompts")
    items: list[dict[str, Any]] = []
    for skill in SKILLS.values():
        for number, task in enumerate(_different(skill, random.Random(f"{seed}/{skill.name}"), per_skill), 1):
            items.append(
                {"id": f"{skill.name}-{number}", "kind": skill.name, "prompt": task.prompt, "check": task.check}
            )
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
    """Open prompts, the kinds of writing in turn; a topic comes again only once its kind has no other."""
    kinds = list(OPEN_PROMPTS.values())
    decks: list[list[str]] = []
    for wordings, topics in kinds:
        deck: list[str] = []
        orders = [rng.sample(range(len(wordings)), len(wordings)) for _ in topics]
        for turn in range(len(wordings)):
            places = rng.sample(range(len(topics)), len(topics))
            deck += [wordings[orders[at][turn]].format(topic=topics[at]) for at in places]
        decks.append(deck)
    return [decks[i % len(decks)][i // len(decks)] for i in range(count)]


if __name__ == "__main__":
    sys.exit(main())
