"""Tasks with words: opposites, plurals, upper case, copying."""

import random
from collections.abc import Callable
from functools import partial

import inflect

from dllm.training.tasks.task import Operand, Question, Solved, one_of, skill
from dllm.training.tasks.vocabulary import ADJECTIVES, CATEGORIES, NOUNS, PLACES, THINGS, WORDS, sentence

_OPPOSITES: dict[str, list[str]] = {}  # word → its opposites, the one to say first
for _both in WORDS.opposites:
    for _same, _others in (_both, _both[::-1]):
        _OPPOSITES.setdefault(_same[0], _others)

ENGINE = inflect.engine()


def _singular(word: str) -> bool:
    return " " not in word and word.islower() and ENGINE.singular_noun(word) is False


_SINGULARS = tuple(
    word
    for word in dict.fromkeys((*NOUNS, *WORDS.more_singulars))
    if _singular(word) and ENGINE.plural_noun(word) != word
)


def _opposite(operand: Operand) -> Solved:
    word, opposite = operand
    return Solved({"word": word}, f"The opposite of {word} is {opposite}.", {"any": _OPPOSITES[word]})


def _plural(answer: str, operand: Operand) -> Solved:
    one, many = operand[0], ENGINE.plural_noun(operand[0])
    return Solved({"word": one}, answer.format(one=one, many=many), {"any": [many]})


def _one(operand: Operand) -> Solved:
    many = ENGINE.plural_noun(operand[0])
    return Solved({"word": many}, f"The singular of {many} is {operand[0]}.", {"any": [operand[0]]})


def _cased(given: Callable[[str], str], wanted: Callable[[str], str], operand: Operand) -> Solved:
    answer = wanted(operand[0])
    return Solved({"text": given(operand[0])}, answer, {"exactly": answer})


def _copied(operand: Operand) -> Solved:
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
                *WORDS.phrases[:2],
                rng.choice(WORDS.phrases),
                f"the {word} in the {place}",
            )
        ),
    )


def _some_words(rng: random.Random) -> Operand:
    words = (*THINGS, *PLACES, *CATEGORIES["animals"].members, *CATEGORIES["colors"].members)
    return tuple(rng.sample(words, rng.randint(3, 6)))


OPPOSITE_TASKS = skill(
    "opposites",
    opposite=Question(lambda rng: ((word := rng.choice(tuple(_OPPOSITES))), _OPPOSITES[word][0]), _opposite),
)

PLURAL_TASKS = skill(
    "plurals",
    plural=Question(one_of(_SINGULARS), partial(_plural, "The plural of {one} is {many}."), weight=2),
    one=Question(one_of(_SINGULARS), _one),
    two=Question(one_of(_SINGULARS), partial(_plural, "One {one}, two {many}.")),
)

UPPER = skill(
    "uppercase",
    upper=Question(_text, partial(_cased, str, str.upper), weight=3),
    lower=Question(_text, partial(_cased, str.upper, str)),
    capital=Question(_text, partial(_cased, str, str.capitalize)),
)

COPYING = skill(
    "copying",
    copied=Question(lambda rng: (sentence(rng),), _copied, weight=3),
    words=Question(_some_words, _copied),
)
