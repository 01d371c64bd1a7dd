"""Tasks with numbers: sums, differences, products, comparing, counting."""

import random
from collections.abc import Callable

from dllm.training.tasks.task import Operand, Question, Skill, Solved, wordings
from dllm.training.tasks.vocabulary import PERSONS, THINGS


def _pair(rng: random.Random) -> Operand:
    """Two numbers, half of the time of one digit each, so that both sizes are practised."""
    most = rng.choice((9, 50))
    return rng.randint(1, most), rng.randint(1, most)


def _several(rng: random.Random) -> Operand:
    """Two numbers of things, so that a plural is always right."""
    most = rng.choice((9, 50))
    return rng.randint(2, most), rng.randint(2, most)


def _larger_first(rng: random.Random, pair: Callable[[random.Random], Operand] = _pair) -> Operand:
    a, b = pair(rng)
    return (a, b) if a > b else (a + b, b)


def _reckoned(operand: Operand, sign: str, result: int) -> Solved:
    a, b = operand
    return Solved({"a": a, "b": b}, f"{a} {sign} {b} = {result}.", {"number": str(result)})


def _sum(operand: Operand) -> Solved:
    return _reckoned(operand, "+", operand[0] + operand[1])


def _difference(operand: Operand) -> Solved:
    return _reckoned(operand, "-", operand[0] - operand[1])


def _product(operand: Operand) -> Solved:
    return _reckoned(operand, "x", operand[0] * operand[1])


def _gain(operand: Operand) -> Solved:
    a, b, name, thing = operand
    answer = f"{name} has {a} + {b} = {a + b} {thing}s."
    return Solved({"a": a, "b": b, "name": name, "thing": thing}, answer, {"number": str(a + b)})


def _loss(operand: Operand) -> Solved:
    a, b, name, thing = operand
    answer = f"{name} has {a} - {b} = {a - b} {thing}s left."
    return Solved({"a": a, "b": b, "name": name, "thing": thing}, answer, {"number": str(a - b)})


def _chosen(operand: Operand, which: str, one: int, other: int) -> Solved:
    check = {"any": [str(one)], "none": [str(other)]}
    return Solved({"a": operand[0], "b": operand[1]}, f"The {which} number is {one}.", check)


def _bigger(operand: Operand) -> Solved:
    return _chosen(operand, "larger", max(operand), min(operand))


def _smaller(operand: Operand) -> Solved:
    return _chosen(operand, "smaller", min(operand), max(operand))


def _compared(operand: Operand, relation: str, holds: bool) -> Solved:
    a, b = operand
    answer = f"Yes, {a} is {relation} than {b}." if holds else f"No, {a} is not {relation} than {b}."
    return Solved({"a": a, "b": b}, answer, {"starts": ["yes" if holds else "no"]})


def _is_greater(operand: Operand) -> Solved:
    return _compared(operand, "greater", operand[0] > operand[1])


def _is_less(operand: Operand) -> Solved:
    return _compared(operand, "less", operand[0] < operand[1])


def _largest(operand: Operand) -> Solved:
    large = max(operand)
    others = [str(n) for n in operand if n != large]
    fields = {"list": ", ".join(map(str, operand))}
    return Solved(fields, f"The largest number is {large}.", {"any": [str(large)], "none": others})


def _different(rng: random.Random) -> Operand:
    return tuple(rng.sample(range(1, rng.choice((20, 100))), 2))


def _three(rng: random.Random) -> Operand:
    return tuple(rng.sample(range(1, rng.choice((20, 100))), 3))


def _range(rng: random.Random) -> Operand:
    start = rng.choice((1, rng.randint(1, 60)))
    return start, start + rng.randint(2, 9)


def _counted(operand: Operand, numbers: range, **fields: str) -> Solved:
    words = [str(n) for n in numbers]
    return Solved({"a": operand[0], "b": operand[1], **fields}, ", ".join(words) + ".", {"sequence": words})


def _up(operand: Operand) -> Solved:
    return _counted(operand, range(operand[0], operand[1] + 1))


def _down(operand: Operand) -> Solved:
    return _counted(operand, range(operand[1], operand[0] - 1, -1))


def _by_steps(operand: Operand) -> Solved:
    a, b, step = operand
    return _counted(operand, range(a, b + 1, step), step={2: "twos", 5: "fives", 10: "tens"}[step])


def _steps(rng: random.Random) -> Operand:
    step = rng.choice((2, 5, 10))
    start = step * rng.randint(1, 6)
    return start, start + step * rng.randint(2, 6), step


def _next_to(number: int, where: str, wanted: int) -> Solved:
    return Solved({"a": number}, f"The number {where} {number} is {wanted}.", {"number": str(wanted)})


def _after(operand: Operand) -> Solved:
    return _next_to(operand[0], "after", operand[0] + 1)


def _before(operand: Operand) -> Solved:
    return _next_to(operand[0], "before", operand[0] - 1)


SUMS = Skill(
    "sums",
    (
        Question(wordings("sums", "sum"), _pair, _sum, weight=3),
        Question(
            wordings("sums", "gain"), lambda rng: (*_several(rng), rng.choice(PERSONS), rng.choice(THINGS)), _gain, by=2
        ),
    ),
    weight=1.5,
)

DIFFERENCES = Skill(
    "differences",
    (
        Question(wordings("differences", "difference"), _larger_first, _difference, weight=3),
        Question(
            wordings("differences", "loss"),
            lambda rng: (*_larger_first(rng, _several), rng.choice(PERSONS), rng.choice(THINGS)),
            _loss,
            by=2,
        ),
    ),
    weight=1.5,
)

PRODUCTS = Skill(
    "products",
    (Question(wordings("products", "product"), lambda rng: (rng.randint(2, 10), rng.randint(2, 12)), _product),),
)

COMPARING = Skill(
    "comparing",
    (
        Question(wordings("comparing", "bigger"), _different, _bigger),
        Question(wordings("comparing", "smaller"), _different, _smaller),
        Question(wordings("comparing", "is_greater"), _different, _is_greater),
        Question(wordings("comparing", "is_less"), _different, _is_less),
        Question(wordings("comparing", "largest"), _three, _largest),
    ),
)

COUNTING = Skill(
    "counting",
    (
        Question(wordings("counting", "up"), _range, _up, weight=2),
        Question(wordings("counting", "down"), _range, _down),
        Question(wordings("counting", "by_steps"), _steps, _by_steps),
        Question(wordings("counting", "after"), lambda rng: (rng.randint(1, 150),), _after),
        Question(wordings("counting", "before"), lambda rng: (rng.randint(2, 150),), _before),
    ),
)
