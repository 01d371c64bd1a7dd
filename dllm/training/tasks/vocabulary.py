"""Words that the tasks are made of, hand-written (`assets/training/words.json`): what a class would type."""

import random
from collections.abc import Sequence
from typing import Any

from dllm.training.tasks.task import load

WORDS: dict[str, Any] = load("words")
PERSONS: list[str] = WORDS["persons"]

ADJECTIVES: list[str] = WORDS["adjectives"]

THINGS: list[str] = WORDS["things"]

PLACES: list[str] = WORDS["places"]

INSIDE = [place for place in PLACES if place not in WORDS["outdoors"]]  # one is at a river or on it

# by category: its singular, and members; the first are the best known
CATEGORIES: dict[str, tuple[str, list[str]]] = {
    name: (entry["singular"], entry["members"]) for name, entry in WORDS["categories"].items()
}

NOUNS = tuple(
    dict.fromkeys(
        (
            *THINGS,
            *PLACES,
            *(
                word
                for name in ("fruits", "animals", "birds", "tools", "vehicles", "insects", "pieces of furniture")
                for word in CATEGORIES[name][1]
            ),
        )
    )
)


def article(word: str) -> str:
    """A word with "a" or "an" before it."""
    return f"{'an' if word[0].lower() in 'aeiou' and not word.startswith(('uni', 'Eu')) else 'a'} {word}"


def upper_first(text: str) -> str:
    """A text with its first letter as a capital, the others as they are."""
    return text[:1].upper() + text[1:]


def listed(words: Sequence[str], last: str = "and") -> str:
    """Words with commas and a last "and": a, b and c."""
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else words[0]


def sentence(rng: random.Random) -> str:
    """A short plain sentence, such as: The green lamp is in the garden."""
    name, other = rng.sample(PERSONS, 2)
    thing, place, adjective, animal = (
        rng.choice(words) for words in (THINGS, PLACES, ADJECTIVES, CATEGORIES["animals"][1])
    )
    room, number = rng.choice(INSIDE), rng.randint(2, 20)
    return rng.choice(
        (
            f"{name} has {article(adjective)} {thing}.",
            f"The {animal} is at the {place}.",
            f"The {adjective} {thing} is in the {room}.",
            f"{name} and {other} go to the {place}.",
            f"My {thing} is {adjective}.",
            f"{name} likes the {adjective} {animal}.",
            f"We saw {number} {thing}s today.",
            f"Please bring the {thing} to {name}.",
            f"The {animal} sleeps near the {thing}.",
            f"{name} lost {article(thing)} in the {room}.",
            f"There is {article(animal)} in the {room}.",
            f"I gave {name} my {thing}.",
            f"Where is the {adjective} {thing}?",
            f"{name} is {adjective} today.",
        )
    )
