"""Tasks with numbers: sums, differences, products, comparing, counting."""

import operator
import random
from collections.abc import Callable
from functools import partial

from dllm.training.tasks.task import Operand, Question, Solved, skill
from dllm.training.tasks.vocabulary import PERSONS, THINGS

Rule = Callable[[int, int], int]
_STEPS = {2: "twos", 5: "fives", 10: "tens"}


def _pair(rng: random.Random, least: int = 1) -> Operand:
    """Two numbers, half of the time of one digit each, so that both sizes are practised."""
    most = rng.choice((9, 50))
    return rng.randint(least, most), rng.randint(least, most)


def _larger_first(rng: random.Random, least: int = 1) -> Operand:
    a, b = _pair(rng, least)
    return (a, b) if a > b else (a + b, b)


def _owned(pair: Callable[[random.Random, int], Operand], rng: random.Random) -> Operand:
    """Two numbers of things, from 2 on so that a plural is always right; who has them, and what they are."""
    return (*pair(rng, 2), rng.choice(PERSONS), rng.choice(THINGS))


def _different(count: int, rng: random.Random) -> Operand:
    return tuple(rng.sample(range(1, rng.choice((20, 100))), count))


def _range(rng: random.Random) -> Operand:
    start = rng.choice((1, rng.randint(1, 60)))
    return start, start + rng.randint(2, 9)


def _range_and_step(rng: random.Random) -> Operand:
    step = rng.choice(tuple(_STEPS))
    start = step * rng.randint(1, 6)
    return start, start + step * rng.randint(2, 6), step


def _equation(sign: str, rule: Rule, operand: Operand) -> Solved:
    a, b = operand
    result = rule(a, b)
    return Solved({"a": a, "b": b}, f"{a} {sign} {b} = {result}.", {"number": str(result)})


def _story(sign: str, rule: Rule, left: str, operand: Operand) -> Solved:
    a, b, name, thing = operand
    result = rule(a, b)
    answer = f"{name} has {a} {sign} {b} = {result} {thing}s{left}."
    return Solved({"a": a, "b": b, "name": name, "thing": thing}, answer, {"number": str(result)})


def _chosen(which: str, choose: Rule, operand: Operand) -> Solved:
    a, b = operand
    number = choose(a, b)
    check = {"any": [str(number)], "none": [str(a + b - number)]}
    return Solved({"a": a, "b": b}, f"The {which} number is {number}.", check)


def _largest(operand: Operand) -> Solved:
    large = max(operand)
    others = [str(n) for n in operand if n != large]
    fields = {"list": ", ".join(map(str, operand))}
    return Solved(fields, f"The largest number is {large}.", {"any": [str(large)], "none": others})


def _compared(relation: str, holds: Callable[[int, int], bool], operand: Operand) -> Solved:
    a, b = operand
    if holds(a, b):
        return Solved({"a": a, "b": b}, f"Yes, {a} is {relation} than {b}.", {"starts": ["yes"]})
    return Solved({"a": a, "b": b}, f"No, {a} is not {relation} than {b}.", {"starts": ["no"]})


def _counted(operand: Operand, *, down: bool = False) -> Solved:
    """From (first, last, step); a step of 1 may be left out."""
    first, last, *step = operand
    numbers = range(first, last + 1, *step)
    words = [str(n) for n in (reversed(numbers) if down else numbers)]
    named = {"step": _STEPS[step[0]]} if step else {}
    return Solved({"a": first, "b": last, **named}, ", ".join(words) + ".", {"sequence": words})


def _next_to(where: str, distance: int, operand: Operand) -> Solved:
    number = operand[0]
    wanted = number + distance
    return Solved({"a": number}, f"The number {where} {number} is {wanted}.", {"number": str(wanted)})


SUMS = skill(
    "sums",
    weight=1.5,
    sum=Question(_pair, partial(_equation, "+", operator.add), weight=3),
    gain=Question(partial(_owned, _pair), partial(_story, "+", operator.add, ""), by=2),
)

DIFFERENCES = skill(
    "differences",
    weight=1.5,
    difference=Question(_larger_first, partial(_equation, "-", operator.sub), weight=3),
    loss=Question(partial(_owned, _larger_first), partial(_story, "-", operator.sub, " left"), by=2),
)

PRODUCTS = skill(
    "products",
    product=Question(lambda rng: (rng.randint(2, 10), rng.randint(2, 12)), partial(_equation, "x", operator.mul)),
)

COMPARING = skill(
    "comparing",
    bigger=Question(partial(_different, 2), partial(_chosen, "larger", max)),
    smaller=Question(partial(_different, 2), partial(_chosen, "smaller", min)),
    is_greater=Question(partial(_different, 2), partial(_compared, "greater", operator.gt)),
    is_less=Question(partial(_different, 2), partial(_compared, "less", operator.lt)),
    largest=Question(partial(_different, 3), _largest),
)

COUNTING = skill(
    "counting",
    up=Question(_range, _counted, weight=2),
    down=Question(_range, partial(_counted, down=True)),
    by_steps=Question(_range_and_step, _counted),
    after=Question(lambda rng: (rng.randint(1, 150),), partial(_next_to, "after", 1)),
    before=Question(lambda rng: (rng.randint(2, 150),), partial(_next_to, "before", -1)),
)
