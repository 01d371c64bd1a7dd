"""Tasks of everyday talk: greetings, rewriting a sentence, and saying again what was just told."""

import random

from dllm.training.tasks.facts import CAPITALS
from dllm.training.tasks.task import Operand, Question, Skill, Solved, wordings
from dllm.training.tasks.vocabulary import CATEGORIES, INSIDE, PERSONS, PLACES, THINGS, WORDS, article

_GREETINGS: dict[str, str] = WORDS["greetings"]
_WISHES: dict[str, str] = WORDS["wishes"]
_VERBS: list[tuple[str, str, str]] = [tuple(verb) for verb in WORDS["verbs"]]  # base, third person, past
_ORDERS: list[str] = WORDS["orders"]


def _to_someone(operand: Operand, kind: str, said: str) -> Solved:
    name = operand[0]
    check = {"any": [f"{said}, {name}", f"{said} {name}"]}
    return Solved({"name": name, kind: operand[1]}, f"{said}, {name}!", check)


def _greeting(operand: Operand) -> Solved:
    return _to_someone(operand, "greeting", _GREETINGS[operand[1]])


def _wish(operand: Operand) -> Solved:
    return _to_someone(operand, "wish", _WISHES[operand[1]])


def _thanks(operand: Operand) -> Solved:
    name, thing = operand
    answer = f"Thank you for the {thing}, {name}!"
    return Solved({"name": name, "thing": thing}, answer, {"any": [f"thank you for the {thing}"]})


def _doing(rng: random.Random) -> Operand:
    verb = rng.choice(_VERBS)[0]
    return rng.choice(PERSONS), verb, rng.choice(INSIDE if verb.endswith(" in") else PLACES)


def _parts(operand: Operand) -> tuple[str, str, str, dict[str, str]]:
    """Someone's name, the verb's past, the place, and the sentence in the present as the field `text`."""
    name, base, place = operand
    [(third, past)] = [verb[1:] for verb in _VERBS if verb[0] == base]
    return name, past, place, {"text": f"{name} {third} the {place}."}


def _past(operand: Operand) -> Solved:
    name, past, place, fields = _parts(operand)
    answer = f"{name} {past} the {place}."
    return Solved(fields, answer, {"equal": answer})


def _future(operand: Operand) -> Solved:
    name, _, place, fields = _parts(operand)
    answer = f"{name} will {operand[1]} the {place}."
    return Solved(fields, answer, {"equal": answer})


def _question(operand: Operand) -> Solved:
    name, _, place, fields = _parts(operand)
    answer = f"Does {name} {operand[1]} the {place}?"
    return Solved(fields, answer, {"equal": answer})


def _negative(operand: Operand) -> Solved:
    name, _, place, fields = _parts(operand)
    said = f"{operand[1]} the {place}"
    check = {"any": [f"{name} does not {said}", f"{name} doesn't {said}"]}
    return Solved(fields, f"{name} does not {said}.", check)


def _polite(operand: Operand) -> Solved:
    order, thing = operand
    answer = f"Could you please {order[0].lower()}{order[1:]} the {thing}?"
    return Solved({"text": f"{order} the {thing}."}, answer, {"any": ["please"]})


def _name(operand: Operand) -> Solved:
    return Solved({"name": operand[0]}, f"Your name is {operand[0]}.", {"any": [f"your name is {operand[0]}"]})


def _home(operand: Operand) -> Solved:
    said = f"You are from {operand[0]}"
    return Solved({"country": operand[0]}, f"{said}.", {"any": [said, f"You're from {operand[0]}"]})


def _age(operand: Operand) -> Solved:
    said = f"You are {operand[0]} years old"
    return Solved({"age": operand[0]}, f"{said}.", {"any": [said, f"You're {operand[0]} years old"]})


def _pet(operand: Operand) -> Solved:
    animal, name = operand
    said = f"Your {animal} is called {name}"
    other = [f"Your {animal}'s name is {name}", f"The name of your {animal} is {name}"]
    return Solved({"animal": animal, "name": name}, f"{said}.", {"any": [said, *other]})


def _where(operand: Operand) -> Solved:
    name, thing, place = operand
    said = f"the {thing} is in the {place}"
    fields = {"name": name, "thing": thing, "place": place, "one": article(thing)}
    return Solved(fields, f"The {thing} is in the {place}.", {"any": [said]})


GREETING = Skill(
    "greetings",
    (
        Question(
            wordings("greetings", "greeting"),
            lambda rng: (rng.choice(PERSONS), rng.choice(tuple(_GREETINGS))),
            _greeting,
        ),
        Question(wordings("greetings", "wish"), lambda rng: (rng.choice(PERSONS), rng.choice(tuple(_WISHES))), _wish),
        Question(wordings("greetings", "thanks"), lambda rng: (rng.choice(PERSONS), rng.choice(THINGS)), _thanks),
    ),
)

REWRITING = Skill(
    "rewriting",
    (
        Question(wordings("rewriting", "past"), _doing, _past, weight=2),
        Question(wordings("rewriting", "future"), _doing, _future),
        Question(wordings("rewriting", "question"), _doing, _question, weight=2),
        Question(wordings("rewriting", "negative"), _doing, _negative),
        Question(
            wordings("rewriting", "polite"), lambda rng: (rng.choice(_ORDERS), rng.choice(THINGS)), _polite, weight=2
        ),
    ),
)

RECALL = Skill(
    "recall",
    (
        Question(wordings("recall", "name"), lambda rng: (rng.choice(PERSONS),), _name),
        Question(wordings("recall", "home"), lambda rng: (rng.choice(tuple(CAPITALS)),), _home),
        Question(wordings("recall", "age"), lambda rng: (rng.randint(5, 90),), _age),
        Question(
            wordings("recall", "pet"), lambda rng: (rng.choice(CATEGORIES["pets"][1][:4]), rng.choice(PERSONS)), _pet
        ),
        Question(
            wordings("recall", "where"),
            lambda rng: (rng.choice(PERSONS), rng.choice(THINGS), rng.choice(INSIDE)),
            _where,
        ),
    ),
)
