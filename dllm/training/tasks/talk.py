"""Tasks of everyday talk: greetings, rewriting a sentence, and saying again what was just told."""

import random

from dllm.training.tasks.facts import CAPITALS
from dllm.training.tasks.task import Operand, Question, Skill, Solved
from dllm.training.tasks.vocabulary import CATEGORIES, INSIDE, PERSONS, PLACES, THINGS, article

_GREETINGS = {
    "hello": "Hello", "good morning": "Good morning", "good evening": "Good evening", "good night": "Good night",
    "goodbye": "Goodbye", "welcome": "Welcome", "good afternoon": "Good afternoon", "hi": "Hi",
}  # fmt: skip
_WISHES = {
    "a happy birthday": "Happy birthday", "a merry Christmas": "Merry Christmas", "good luck": "Good luck",
    "a happy new year": "Happy new year", "a good day": "Have a good day", "a nice weekend": "Have a nice weekend",
    "a good trip": "Have a good trip", "a speedy recovery": "Get well soon", "sweet dreams": "Sweet dreams",
}  # fmt: skip
# base, third person, past
_VERBS = tuple(
    tuple(line.split(":")) for line in """
walk to:walks to:walked to|run to:runs to:ran to|go to:goes to:went to|drive to:drives to:drove to
work in:works in:worked in|play in:plays in:played in|sleep in:sleeps in:slept in|sit in:sits in:sat in
wait at:waits at:waited at|sing in:sings in:sang in|visit:visits:visited|see:sees:saw|like:likes:liked
love:loves:loved|paint:paints:painted|leave:leaves:left|find:finds:found|clean:cleans:cleaned
""".strip().replace("\n", "|").split("|")
)  # fmt: skip
_ORDERS = (
    "Give me",
    "Bring me",
    "Show me",
    "Hand me",
    "Find me",
    "Buy me",
    "Send me",
    "Lend me",
    "Open",
    "Clean",
    "Move",
)


def _greeting(operand: Operand) -> Solved:
    name, greeting = operand
    said = _GREETINGS[greeting]
    check = {"any": [f"{said}, {name}", f"{said} {name}"]}
    return Solved({"name": name, "greeting": greeting}, f"{said}, {name}!", check)


def _wish(operand: Operand) -> Solved:
    name, wish = operand
    said = _WISHES[wish]
    check = {"any": [f"{said}, {name}", f"{said} {name}"]}
    return Solved({"name": name, "wish": wish}, f"{said}, {name}!", check)


def _thanks(operand: Operand) -> Solved:
    name, thing = operand
    answer = f"Thank you for the {thing}, {name}!"
    return Solved({"name": name, "thing": thing}, answer, {"any": [f"thank you for the {thing}"]})


def _doing(rng: random.Random) -> Operand:
    verb = rng.choice(_VERBS)[0]
    return rng.choice(PERSONS), verb, rng.choice(INSIDE if verb.endswith(" in") else PLACES)


def _told(operand: Operand) -> tuple[str, str, str, dict[str, str]]:
    """Someone's name, the verb's past, the place, and the sentence in the present as the field `text`."""
    name, base, place = operand
    [(third, past)] = [verb[1:] for verb in _VERBS if verb[0] == base]
    return name, past, place, {"text": f"{name} {third} the {place}."}


def _past(operand: Operand) -> Solved:
    name, past, place, fields = _told(operand)
    answer = f"{name} {past} the {place}."
    return Solved(fields, answer, {"equal": answer})


def _future(operand: Operand) -> Solved:
    name, _, place, fields = _told(operand)
    answer = f"{name} will {operand[1]} the {place}."
    return Solved(fields, answer, {"equal": answer})


def _question(operand: Operand) -> Solved:
    name, _, place, fields = _told(operand)
    answer = f"Does {name} {operand[1]} the {place}?"
    return Solved(fields, answer, {"equal": answer})


def _negative(operand: Operand) -> Solved:
    name, _, place, fields = _told(operand)
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


GREETING = Skill("greetings", (
    Question((
        "Say {greeting} to {name}.", "Please say {greeting} to {name}.", "How do I say {greeting} to {name}?",
        "Write {greeting} to {name}.", "Can you say {greeting} to {name}?", "My friend {name} is here. Say {greeting}.",
    ), lambda rng: (rng.choice(PERSONS), rng.choice(tuple(_GREETINGS))), _greeting),
    Question((
        "Wish {name} {wish}.", "Please wish {name} {wish}.", "Wish my friend {name} {wish}.",
        "I want to wish {name} {wish}. What do I say?", "Can you wish {name} {wish}?",
    ), lambda rng: (rng.choice(PERSONS), rng.choice(tuple(_WISHES))), _wish),
    Question((
        "Thank {name} for the {thing}.", "Please thank {name} for the {thing}.",
        "Say thanks to {name} for the {thing}.",
        "{name} gave me a {thing}. Write my thanks.", "How do I thank {name} for the {thing}?",
    ), lambda rng: (rng.choice(PERSONS), rng.choice(THINGS)), _thanks),
))  # fmt: skip

REWRITING = Skill("rewriting", (
    Question((
        "Rewrite in the past tense: {text}", "Change this sentence to the past tense: {text}",
        "Put this in the past tense: {text}", "Write this sentence in the past tense: {text}", "Past tense of: {text}",
    ), _doing, _past, weight=2),
    Question((
        "Rewrite in the future tense: {text}", "Change this sentence to the future tense: {text}",
        "Put this in the future tense: {text}", "Write this sentence in the future tense: {text}",
    ), _doing, _future),
    Question((
        "Turn this into a question: {text}", "Rewrite as a question: {text}", "Make a question from this: {text}",
        "Change this sentence into a question: {text}", "Ask this as a question: {text}",
    ), _doing, _question, weight=2),
    Question((
        "Make this sentence negative: {text}", "Rewrite with not: {text}", "Say the opposite with not: {text}",
        "Turn this into a negative sentence: {text}", "Write the negative of this sentence: {text}",
    ), _doing, _negative),
    Question((
        "Rewrite politely: {text}", "Make this polite: {text}", "Say this politely: {text}",
        "Ask more politely: {text}",
        "Rewrite this so that it is polite: {text}",
    ), lambda rng: (rng.choice(_ORDERS), rng.choice(THINGS)), _polite, weight=2),
))  # fmt: skip

RECALL = Skill("recall", (
    Question((
        "My name is {name}. What is my name?", "I am {name}. What is my name?", "Hello, I am {name}. Who am I?",
        "Hi, my name is {name}. Do you know my name?", "People call me {name}. What is my name?",
    ), lambda rng: (rng.choice(PERSONS),), _name),
    Question((
        "I am from {country}. Where am I from?", "I come from {country}. Where do I come from?",
        "My home is {country}. Where am I from?", "I was born in {country}. Which country am I from?",
    ), lambda rng: (rng.choice(tuple(CAPITALS)),), _home),
    Question((
        "I am {age} years old. How old am I?", "My age is {age}. How old am I?", "I turned {age} today. How old am I?",
        "Today I am {age} years old. What is my age?",
    ), lambda rng: (rng.randint(5, 90),), _age),
    Question((
        "My {animal} is called {name}. What is the name of my {animal}?",
        "I have a {animal} named {name}. What is my {animal} called?",
        "{name} is my {animal}. What is the name of my {animal}?",
        "My {animal} has the name {name}. What is my {animal} called?",
    ), lambda rng: (rng.choice(CATEGORIES["pets"][1][:4]), rng.choice(PERSONS)), _pet),
    Question((
        "{name} put the {thing} in the {place}. Where is the {thing}?",
        "{name} left {one} in the {place}. Where is the {thing}?",
        "{name} lost {one} in the {place}. Where should we look for the {thing}?",
        "{name} forgot the {thing} in the {place}. Where is it?",
    ), lambda rng: (rng.choice(PERSONS), rng.choice(THINGS), rng.choice(INSIDE)), _where),
))  # fmt: skip
