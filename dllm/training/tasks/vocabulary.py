"""Words that the tasks are made of, hand-written (`assets/training/words.json`): what a class would type."""

import random
from collections.abc import Sequence

from pydantic import BaseModel

from dllm.training.tasks.task import read_data


class Category(BaseModel, extra="forbid"):
    """The members are listed from the best known on."""

    singular: str
    members: list[str]


class _Words(BaseModel, extra="forbid"):
    persons: list[str]
    adjectives: list[str]
    things: list[str]
    places: list[str]
    outdoors: list[str]
    categories: dict[str, Category]
    categories_of_nouns: list[str]
    categories_apart: list[str]  # none of their members is in another, but for those in two categories
    categories_without_article: list[str]
    plural_only: list[str]
    in_two_categories: list[str]
    more_members: dict[str, list[str]]  # right answers beyond the members that tasks name, for checks alone
    opposites: list[tuple[list[str], list[str]]]
    phrases: list[str]
    sentences: list[str]
    more_singulars: list[str]
    greetings: dict[str, str]
    wishes: dict[str, str]
    verbs: list[tuple[str, str, str]]  # base, third person, past
    orders: list[str]


WORDS = read_data("words", _Words)
PERSONS, ADJECTIVES, THINGS, PLACES = WORDS.persons, WORDS.adjectives, WORDS.things, WORDS.places
CATEGORIES = WORDS.categories
INSIDE = [place for place in PLACES if place not in WORDS.outdoors]  # one is at a river or on it
NOUNS = tuple(
    dict.fromkeys(
        (*THINGS, *PLACES, *(word for name in WORDS.categories_of_nouns for word in CATEGORIES[name].members))
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
    animals = CATEGORIES["animals"].members
    pools = {"thing": THINGS, "place": PLACES, "adjective": ADJECTIVES, "animal": animals, "room": INSIDE}
    words = {kind: rng.choice(pool) for kind, pool in pools.items()}
    number = rng.randint(2, 20)
    with_article = {f"a {kind}": article(word) for kind, word in words.items()}
    return rng.choice(WORDS.sentences).format(name=name, other=other, number=number, **words, **with_article)
