"""Tasks with words: opposites, plurals, upper case, copying."""

import random

import inflect

from dllm.training.tasks.task import Operand, Question, Skill, Solved, wordings
from dllm.training.tasks.vocabulary import ADJECTIVES, CATEGORIES, NOUNS, PLACES, THINGS, WORDS, sentence

_OPPOSITES: dict[str, list[str]] = {}  # word → its opposites, the one to say first
for _both in WORDS["opposites"]:
    for _same, _others in (_both, _both[::-1]):
        _OPPOSITES.setdefault(_same[0], list(_others))

ENGINE = inflect.engine()
_PHRASES: list[str] = WORDS["phrases"]


def _singular(word: str) -> bool:
    return " " not in word and word.islower() and ENGINE.singular_noun(word) is False


_SINGULARS = tuple(
    word
    for word in dict.fromkeys((*NOUNS, *WORDS["more_singulars"]))
    if _singular(word) and ENGINE.plural_noun(word) != word
)


def _opposite(operand: Operand) -> Solved:
    word, opposite = operand
    return Solved({"word": word}, f"The opposite of {word} is {opposite}.", {"any": _OPPOSITES[word]})


def _plural(operand: Operand) -> Solved:
    many = ENGINE.plural_noun(operand[0])
    return Solved({"word": operand[0]}, f"The plural of {operand[0]} is {many}.", {"any": [many]})


def _one(operand: Operand) -> Solved:
    many = ENGINE.plural_noun(operand[0])
    return Solved({"word": many}, f"The singular of {many} is {operand[0]}.", {"any": [operand[0]]})


def _two(operand: Operand) -> Solved:
    many = ENGINE.plural_noun(operand[0])
    return Solved({"word": operand[0]}, f"One {operand[0]}, two {many}.", {"any": [many]})


def _upper(operand: Operand) -> Solved:
    return Solved({"text": operand[0]}, operand[0].upper(), {"exactly": operand[0].upper()})


def _lower(operand: Operand) -> Solved:
    return Solved({"text": operand[0].upper()}, operand[0], {"exactly": operand[0]})


def _capital(operand: Operand) -> Solved:
    return Solved({"text": operand[0]}, operand[0].capitalize(), {"exactly": operand[0].capitalize()})


def _copied(operand: Operand) -> Solved:
    return Solved({"text": operand[0]}, operand[0], {"equal": operand[0]})


def _words(operand: Operand) -> Solved:
    text = ", ".join(operand)
    return Solved({"text": text}, text, {"equal": text})


def _text(rng: random.Random) -> Operand:
    """A word, or a phrase of two to four."""
    word, adjective, place = rng.choice(NOUNS), rng.choice(ADJECTIVES), rng.choice(PLACES)
    return (
        rng.choice(
            (
                word,
                word,
                f"{adjective} {word}",
                f"the {adjective} {word}",
                f"{word} and {place}",
                *_PHRASES[:2],
                rng.choice(_PHRASES),
                f"the {word} in the {place}",
            )
        ),
    )


def _sampled(rng: random.Random) -> Operand:
    words = (*THINGS, *PLACES, *CATEGORIES["animals"][1], *CATEGORIES["colors"][1])
    return tuple(rng.sample(words, rng.randint(3, 6)))


OPPOSITE_TASKS = Skill(
    "opposites",
    (
        Question(
            wordings("opposites", "opposite"),
            lambda rng: ((word := rng.choice(tuple(_OPPOSITES))), _OPPOSITES[word][0]),
            _opposite,
        ),
    ),
)

PLURAL_TASKS = Skill(
    "plurals",
    (
        Question(wordings("plurals", "plural"), lambda rng: (rng.choice(_SINGULARS),), _plural, weight=2),
        Question(wordings("plurals", "one"), lambda rng: (rng.choice(_SINGULARS),), _one),
        Question(wordings("plurals", "two"), lambda rng: (rng.choice(_SINGULARS),), _two),
    ),
)

UPPER = Skill(
    "uppercase",
    (
        Question(wordings("uppercase", "upper"), _text, _upper, weight=3),
        Question(wordings("uppercase", "lower"), _text, _lower),
        Question(wordings("uppercase", "capital"), _text, _capital),
    ),
)

COPYING = Skill(
    "copying",
    (
        Question(wordings("copying", "copied"), lambda rng: (sentence(rng),), _copied, weight=3),
        Question(wordings("copying", "words"), _sampled, _words),
    ),
)
