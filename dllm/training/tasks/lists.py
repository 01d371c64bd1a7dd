"""Tasks with lists: sorting, whether something is in one, and naming members of a category."""

import random

from dllm.training.tasks.task import Operand, Question, Skill, Solved
from dllm.training.tasks.vocabulary import CATEGORIES, NOUNS, article, listed, upper_first

_COUNT_WORDS = {2: "two", 3: "three", 4: "four", 5: "five"}
# Categories no member of which is a member of another, once the orange is left out
_APART = ("fruits", "vegetables", "animals", "musical instruments", "vehicles", "clothes", "pieces of furniture",
         "countries", "languages", "planets", "drinks", "tools", "body parts", "jobs", "colors", "sports")  # fmt: skip
# Categories whose members take no article
_BARE = ("board games", "cheeses", "colors", "dances", "desserts", "drinks", "emotions", "gases", "holidays", "metals",
        "school subjects", "seasons", "spices", "sports")  # fmt: skip
_PLURAL_ONLY = ("pants", "drums", "socks", "gloves", "shoes", "pliers")
_TWICE = ("orange",)
# Right answers beyond the members that tasks name, for checks alone
_MORE: dict[str, tuple[str, ...]] = {
    "jobs": ("accountant", "actor", "artist", "architect", "carpenter", "chef", "dentist", "electrician", "firefighter",
             "journalist", "manager", "mechanic", "musician", "plumber", "police officer", "programmer", "scientist",
             "writer", "waiter", "designer", "singer", "dancer", "surgeon", "judge", "librarian"),
    "languages": ("Latin", "Greek", "Dutch", "Swedish", "Danish", "Norwegian", "Finnish", "Polish", "Turkish",
                  "Hebrew", "Bengali", "Urdu", "Vietnamese", "Thai", "Swahili", "Mandarin", "Indonesian", "Irish"),
    "tools": ("pliers", "level", "chainsaw", "file", "tape measure", "scissors", "knife", "hoe", "crowbar", "mallet",
              "clamp", "sander", "lathe", "ruler", "spade", "plane", "vise", "anvil", "ax"),
    "continents": ("Oceania",),
    "rooms": ("study", "library", "pantry", "nursery", "cellar", "laundry room", "guest room", "closet", "den",
              "classroom", "lobby", "playroom", "hall", "hallway"),
    "holidays": ("Passover", "Ramadan", "Eid", "Kwanzaa", "Labor Day", "Memorial Day", "Mother's Day", "Father's Day",
                 "Veterans Day", "Good Friday", "Boxing Day", "Holi", "Fourth of July", "Yom Kippur"),
}  # fmt: skip


def _members(category: str) -> tuple[str, ...]:
    return tuple(word for word in CATEGORIES[category][1] if word not in _TWICE)


def _one(member: str) -> str:
    """A member as one says it: an apple, but soccer, France and shoes."""
    bare = any(member in CATEGORIES[category][1] for category in _BARE)
    return member if bare or member in _PLURAL_ONLY or member[0].isupper() else article(member)


def _numbers(rng: random.Random) -> Operand:
    return tuple(rng.sample(range(1, rng.choice((10, 30, 100))), rng.randint(3, 5)))


def _ascending(operand: Operand) -> Solved:
    numbers = [str(n) for n in sorted(operand)]
    answer = f"Sorted from smallest to largest: {', '.join(numbers)}."
    return Solved({"list": ", ".join(map(str, operand))}, answer, {"sequence": numbers})


def _descending(operand: Operand) -> Solved:
    numbers = [str(n) for n in sorted(operand, reverse=True)]
    answer = f"Sorted from largest to smallest: {', '.join(numbers)}."
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


SORTING = Skill("sorting", (
    Question((
        "Sort these numbers from smallest to largest: {list}", "Put these numbers in order: {list}",
        "Sort these numbers: {list}", "Order these numbers from low to high: {list}",
        "Arrange these numbers from smallest to largest: {list}", "Write these numbers in ascending order: {list}",
        "Sort from smallest to largest: {list}", "Sort the list {list} in ascending order.",
    ), _numbers, _ascending, weight=2),
    Question((
        "Sort these numbers from largest to smallest: {list}", "Put these numbers in descending order: {list}",
        "Order these numbers from high to low: {list}", "Arrange these numbers from largest to smallest: {list}",
        "Sort from largest to smallest: {list}",
    ), _numbers, _descending),
    Question((
        "Sort these words alphabetically: {list}", "Put these words in alphabetical order: {list}",
        "Write these words in alphabetical order: {list}", "Order these words from A to Z: {list}",
        "Arrange these words alphabetically: {list}",
    ), _some_words, _alphabetical),
))  # fmt: skip

MEMBERSHIP = Skill("membership", (
    Question((
        "Is {word} in this list: {list}?", "Does this list contain {word}: {list}?",
        "Yes or no: is {word} one of these: {list}?", "Is {word} one of these words: {list}?",
        "Look at this list: {list}. Is {word} in it?", "Is the word {word} in the list {list}?",
    ), _in_or_not, _is_in),
    Question((
        "Which of these is {a single}: {a, b or c}?", "Which word is {a single}: {list}?",
        "Find the {single} in this list: {list}", "Pick the {single} from this list: {list}",
        "Which one is {a single}: {a, b or c}?", "What is the {single} in this list: {list}?",
    ), _odd_ones, _which),
    Question((
        "{Is} {one} {single}?", "{Is} {one} {single}? Answer yes or no.", "Yes or no: {is} {one} {single}?",
        "Answer with yes or no: {is} {one} {single}?", "Would you say that {one} {is} {single}?",
    ), _belonging, _is_a),
))  # fmt: skip

LISTS = Skill("lists", (
    Question((
        "Name {n} {category}.", "List {n} {category}.", "Tell me {n} {category}.", "Give me {n} {category}.",
        "Can you name {n} {category}?", "What are {n} {category}?", "Give {n} examples of {category}.",
        "Write down {n} {category}.", "I need {n} {category}.", "Please list {n} {category}.",
    ), _some_members, _list, by=1, weight=3),
    Question((
        "Give me an example of {single}.", "What is an example of {single}?", "Name one example of {single}.",
        "Tell me an example of {single}.", "Can you give an example of {single}?",
    ), lambda rng: (rng.choice(tuple(CATEGORIES)),), _example),
))  # fmt: skip
