"""Tasks with lists: sorting, whether something is in one, and naming members of a category."""

import random
from functools import partial

from dllm.training.tasks.task import Operand, Question, Solved, one_of, skill
from dllm.training.tasks.vocabulary import CATEGORIES, NOUNS, WORDS, article, listed, upper_first

_COUNT_WORDS = {2: "two", 3: "three", 4: "four", 5: "five"}


def _members(category: str) -> tuple[str, ...]:
    return tuple(word for word in CATEGORIES[category].members if word not in WORDS.in_two_categories)


def _one(member: str) -> str:
    """A member as one says it: an apple, but soccer, France and shoes."""
    bare = any(member in CATEGORIES[category].members for category in WORDS.categories_without_article)
    return member if bare or member in WORDS.plural_only or member[0].isupper() else article(member)


def _numbers(rng: random.Random) -> Operand:
    return tuple(rng.sample(range(1, rng.choice((10, 30, 100))), rng.randint(3, 5)))


def _sorted(order: str, operand: Operand, *, reverse: bool = False) -> Solved:
    numbers = [str(n) for n in sorted(operand, reverse=reverse)]
    answer = f"Sorted from {order}: {', '.join(numbers)}."
    return Solved({"list": ", ".join(map(str, operand))}, answer, {"sequence": numbers})


def _some_words(rng: random.Random) -> Operand:
    """Words with different first letters, so that the first letter decides their order."""
    words = [word for word in NOUNS if " " not in word]
    letters = rng.sample(sorted({word[0] for word in words}), rng.randint(3, 5))
    return tuple(rng.choice([word for word in words if word[0] == letter]) for letter in letters)


def _alphabetical(operand: Operand) -> Solved:
    words = sorted(operand)
    said = ", ".join(words)
    check = {"any": [said, listed(words), f"{', '.join(words[:-1])}, and {words[-1]}"]}
    return Solved({"list": ", ".join(operand)}, f"In alphabetical order: {said}.", check)


def _in_or_not(rng: random.Random) -> Operand:
    """A word and a list of three to five; half of the time it is one of them."""
    words = rng.sample(NOUNS, rng.randint(3, 5) + 1)
    return (rng.choice(words[1:]) if rng.random() < 0.5 else words[0], *words[1:])


def _is_in(operand: Operand) -> Solved:
    word, *words = operand
    fields = {"word": word, "list": ", ".join(words)}
    if word in words:
        return Solved(fields, f"Yes, {word} is in the list.", {"starts": ["yes"]})
    return Solved(fields, f"No, {word} is not in the list.", {"starts": ["no"]})


def _odd_ones(rng: random.Random) -> Operand:
    """A category, and three words of which one is a member."""
    categories = rng.sample(WORDS.categories_apart, 3)
    words = [rng.choice(_members(category)) for category in categories]
    rng.shuffle(words)
    return (categories[0], *words)


def _which(operand: Operand) -> Solved:
    category, *words = operand
    single = CATEGORIES[category].singular
    [member] = [word for word in words if word in CATEGORIES[category].members]
    fields = {"list": ", ".join(words), "a, b or c": listed(words, "or"), "single": single, "a single": article(single)}
    answer = f"The {single} is {member}."
    return Solved(fields, answer, {"any": [member], "none": [word for word in words if word != member]})


def _belonging(rng: random.Random) -> Operand:
    category, other = rng.sample(WORDS.categories_apart, 2)
    return rng.choice(_members(category if rng.random() < 0.5 else other)), category


def _is_a(operand: Operand) -> Solved:
    member, category = operand
    single = article(CATEGORIES[category].singular)
    one, verb = _one(member), "are" if member in WORDS.plural_only else "is"
    fields = {"is": verb, "Is": upper_first(verb), "one": one, "single": single}
    if member in CATEGORIES[category].members:
        return Solved(fields, f"Yes, {one} {verb} {single}.", {"starts": ["yes"]})
    return Solved(fields, f"No, {one} {verb} not {single}.", {"starts": ["no"]})


def _list(operand: Operand) -> Solved:
    category, count = operand
    members = CATEGORIES[category].members
    answer = f"{upper_first(_COUNT_WORDS[count])} {category} are {listed(members[:count])}."
    allowed = [*dict.fromkeys((*members, *WORDS.more_members.get(category, ())))]
    several = [f"{word}s" for word in allowed if not word.endswith("s")]
    fields = {"n": _COUNT_WORDS[count], "category": category, "digit": count}
    return Solved(fields, answer, {"different": {"of": [*allowed, *several], "count": count}})


def _example(operand: Operand) -> Solved:
    """The best known member of a category."""
    single, members = article(CATEGORIES[operand[0]].singular), CATEGORIES[operand[0]].members
    answer = f"An example of {single} is {_one(members[0])}."
    return Solved({"single": single}, answer, {"any": [*members, *WORDS.more_members.get(operand[0], ())]})


SORTING = skill(
    "sorting",
    ascending=Question(_numbers, partial(_sorted, "smallest to largest"), weight=2),
    descending=Question(_numbers, partial(_sorted, "largest to smallest", reverse=True)),
    alphabetical=Question(_some_words, _alphabetical),
)

MEMBERSHIP = skill(
    "membership",
    is_in=Question(_in_or_not, _is_in),
    which=Question(_odd_ones, _which),
    is_a=Question(_belonging, _is_a),
)

LISTS = skill(
    "lists",
    list=Question(one_of(tuple(CATEGORIES), tuple(_COUNT_WORDS)), _list, by=1, weight=3),
    example=Question(one_of(tuple(CATEGORIES)), _example),
)
