"""Tasks of everyday talk: greetings, rewriting a sentence, and repeating what the prompt says about someone."""

import random
from collections.abc import Mapping
from functools import partial

from dllm.training.tasks.facts import CAPITALS
from dllm.training.tasks.task import Operand, Question, Solved, one_of, skill
from dllm.training.tasks.vocabulary import CATEGORIES, INSIDE, PERSONS, PLACES, THINGS, WORDS, article


def _statement(names: str, answer: str, right: tuple[str, ...], operand: Operand) -> Solved:
    """names: of the operand's parts. right: texts, one of which an answer must contain."""
    fields = dict(zip(names.split(), operand, strict=True))
    return Solved(fields, answer.format(**fields), {"any": [text.format(**fields) for text in right]})


def _to_someone(kind: str, sayings: Mapping[str, str], operand: Operand) -> Solved:
    name, saying = operand[0], sayings[operand[1]]
    check = {"any": [f"{saying}, {name}", f"{saying} {name}"]}
    return Solved({"name": name, kind: operand[1]}, f"{saying}, {name}!", check)


def _doing(rng: random.Random) -> Operand:
    """A person, a verb's forms, and a place."""
    verb = rng.choice(WORDS.verbs)
    return rng.choice(PERSONS), verb[0], rng.choice(INSIDE if verb[0].endswith(" in") else PLACES)


def _parts(operand: Operand) -> dict[str, str]:
    """The sentence in the present as `text`, and its parts."""
    name, base, place = operand
    [(third, past)] = [verb[1:] for verb in WORDS.verbs if verb[0] == base]
    return {"text": f"{name} {third} the {place}.", "name": name, "base": base, "past": past, "place": place}


def _rewritten(form: str, operand: Operand) -> Solved:
    fields = _parts(operand)
    answer = form.format(**fields)
    return Solved(fields, answer, {"equal": answer})


def _negative(operand: Operand) -> Solved:
    name, base, place = operand
    right = [f"{name} {verb} {base} the {place}" for verb in ("does not", "doesn't")]
    return Solved(_parts(operand), f"{right[0]}.", {"any": right})


def _polite(operand: Operand) -> Solved:
    order, thing = operand
    answer = f"Could you please {order[0].lower()}{order[1:]} the {thing}?"
    return Solved({"text": f"{order} the {thing}."}, answer, {"any": ["please"]})


def _where(operand: Operand) -> Solved:
    name, thing, place = operand
    fields = {"name": name, "thing": thing, "place": place, "one": article(thing)}
    return Solved(fields, f"The {thing} is in the {place}.", {"any": [f"the {thing} is in the {place}"]})


GREETING = skill(
    "greetings",
    greeting=Question(one_of(PERSONS, tuple(WORDS.greetings)), partial(_to_someone, "greeting", WORDS.greetings)),
    wish=Question(one_of(PERSONS, tuple(WORDS.wishes)), partial(_to_someone, "wish", WORDS.wishes)),
    thanks=Question(
        one_of(PERSONS, THINGS),
        partial(_statement, "name thing", "Thank you for the {thing}, {name}!", ("thank you for the {thing}",)),
    ),
)

REWRITING = skill(
    "rewriting",
    past=Question(_doing, partial(_rewritten, "{name} {past} the {place}."), weight=2),
    future=Question(_doing, partial(_rewritten, "{name} will {base} the {place}.")),
    question=Question(_doing, partial(_rewritten, "Does {name} {base} the {place}?"), weight=2),
    negative=Question(_doing, _negative),
    polite=Question(one_of(WORDS.orders, THINGS), _polite, weight=2),
)

RECALL = skill(
    "recall",
    name=Question(one_of(PERSONS), partial(_statement, "name", "Your name is {name}.", ("your name is {name}",))),
    home=Question(
        one_of(tuple(CAPITALS)),
        partial(_statement, "country", "You are from {country}.", ("You are from {country}", "You're from {country}")),
    ),
    age=Question(
        lambda rng: (rng.randint(5, 90),),
        partial(_statement, "age", "You are {age} years old.", ("You are {age} years old", "You're {age} years old")),
    ),
    pet=Question(
        one_of(CATEGORIES["pets"].members[:4], PERSONS),
        partial(
            _statement,
            "animal name",
            "Your {animal} is called {name}.",
            ("Your {animal} is called {name}", "Your {animal}'s name is {name}", "The name of your {animal} is {name}"),
        ),
    ),
    where=Question(one_of(PERSONS, THINGS, INSIDE), _where),
)
