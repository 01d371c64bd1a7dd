"""Tasks with lists: sorting, whether something is in one, and naming members of a category."""

import random

from dllm.training.tasks.task import Operand, Question, Skill, Solved, wordings
from dllm.training.tasks.vocabulary import CATEGORIES, NOUNS, WORDS, article, listed, upper_first

_COUNT_WORDS = {2: "two", 3: "three", 4: "four", 5: "five"}
# Categories no member of which is a member of another, once the orange is left out
_APART: list[str] = WORDS["categories_apart"]
_PLURAL_ONLY: list[str] = WORDS["plural_only"]
# Right answers beyond the members that tasks name, for checks alone
_MORE: dict[str, list[str]] = WORDS["more_members"]


def _members(category: str) -> tuple[str, ...]:
    return tuple(word for word in CATEGORIES[category][1] if word not in WORDS["in_two_categories"])


def _one(member: str) -> str:
    """A member as one says it: an apple, but soccer, France and shoes."""
    bare = any(member in CATEGORIES[category][1] for category in WORDS["categories_without_article"])
    return member if bare or member in _PLURAL_ONLY or member[0].isupper() else article(member)


def _numbers(rng: random.Random) -> Operand:
    return tuple(rng.sample(range(1, rng.choice((10, 30, 100))), rng.randint(3, 5)))


def _sorted(operand: Operand, order: str, *, reverse: bool) -> Solved:
    numbers = [str(n) for n in sorted(operand, reverse=reverse)]
    answer = f"Sorted from {order}: {', '.join(numbers)}."
    return Solved({"list": ", ".join(map(str, operand))}, answer, {"sequence": numbers})


def _ascending(operand: Operand) -> Solved:
    return _sorted(operand, "smallest to largest", reverse=False)


def _descending(operand: Operand) -> Solved:
    return _sorted(operand, "largest to smallest", reverse=True)


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
    inside = word in words
    answer = f"Yes, {word} is in the list." if inside else f"No, {word} is not in the list."
    return Solved({"word": word, "list": ", ".join(words)}, answer, {"starts": ["yes" if inside else "no"]})


def _odd_ones(rng: random.Random) -> Operand:
    """A category, its member's place, and three words of which only that one is a member."""
    category, *others = rng.sample(_APART, 3)
    words = [rng.choice(_members(name)) for name in (category, *others)]
    rng.shuffle(words)
    return (category, *words)


def _which(operand: Operand) -> Solved:
    category, *words = operand
    single = CATEGORIES[category][0]
    [member] = [word for word in words if word in CATEGORIES[category][1]]
    fields = {"list": ", ".join(words), "a, b or c": listed(words, "or"), "single": single, "a single": article(single)}
    answer = f"The {single} is {member}."
    return Solved(fields, answer, {"any": [member], "none": [word for word in words if word != member]})


def _belonging(rng: random.Random) -> Operand:
    category, other = rng.sample(_APART, 2)
    return rng.choice(_members(category if rng.random() < 0.5 else other)), category


def _is_a(operand: Operand) -> Solved:
    member, category = operand
    single = CATEGORIES[category][0]
    right = member in CATEGORIES[category][1]
    one, verb = _one(member), "are" if member in _PLURAL_ONLY else "is"
    answer = f"Yes, {one} {verb} {article(single)}." if right else f"No, {one} {verb} not {article(single)}."
    fields = {"is": verb, "Is": upper_first(verb), "one": one, "single": article(single)}
    return Solved(fields, answer, {"starts": ["yes" if right else "no"]})


def _some_members(rng: random.Random) -> Operand:
    return rng.choice(tuple(CATEGORIES)), rng.choice(tuple(_COUNT_WORDS))


def _list(operand: Operand) -> Solved:
    category, count = operand
    members = CATEGORIES[category][1]
    answer = f"{upper_first(_COUNT_WORDS[count])} {category} are {listed(members[:count])}."
    allowed = [*dict.fromkeys((*members, *_MORE.get(category, ())))]
    several = [f"{word}s" for word in allowed if not word.endswith("s")]
    fields = {"n": _COUNT_WORDS[count], "category": category, "digit": count}
    return Solved(fields, answer, {"different": {"of": [*allowed, *several], "count": count}})


def _example(operand: Operand) -> Solved:
    """The best known member of a category."""
    single, members = CATEGORIES[operand[0]]
    answer = f"An example of {article(single)} is {_one(members[0])}."
    return Solved({"single": article(single)}, answer, {"any": [*members, *_MORE.get(operand[0], ())]})


SORTING = Skill(
    "sorting",
    (
        Question(wordings("sorting", "ascending"), _numbers, _ascending, weight=2),
        Question(wordings("sorting", "descending"), _numbers, _descending),
        Question(wordings("sorting", "alphabetical"), _some_words, _alphabetical),
    ),
)

MEMBERSHIP = Skill(
    "membership",
    (
        Question(wordings("membership", "is_in"), _in_or_not, _is_in),
        Question(wordings("membership", "which"), _odd_ones, _which),
        Question(wordings("membership", "is_a"), _belonging, _is_a),
    ),
)

LISTS = Skill(
    "lists",
    (
        Question(wordings("lists", "list"), _some_members, _list, by=1, weight=3),
        Question(wordings("lists", "example"), lambda rng: (rng.choice(tuple(CATEGORIES)),), _example),
    ),
)
