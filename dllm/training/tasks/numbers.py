"""Tasks with numbers: sums, differences, products, comparing, counting."""

import random
from collections.abc import Callable

from dllm.training.tasks.task import Operand, Question, Skill, Solved
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


def _told(operand: Operand) -> tuple[int, int, str, str]:
    a, b, name, thing = operand
    return a, b, name, thing


def _sum(operand: Operand) -> Solved:
    a, b = operand
    return Solved({"a": a, "b": b}, f"{a} + {b} = {a + b}.", {"number": str(a + b)})


def _gain(operand: Operand) -> Solved:
    a, b, name, thing = _told(operand)
    answer = f"{name} has {a} + {b} = {a + b} {thing}s."
    return Solved({"a": a, "b": b, "name": name, "thing": thing}, answer, {"number": str(a + b)})


def _difference(operand: Operand) -> Solved:
    a, b = operand
    return Solved({"a": a, "b": b}, f"{a} - {b} = {a - b}.", {"number": str(a - b)})


def _loss(operand: Operand) -> Solved:
    a, b, name, thing = _told(operand)
    answer = f"{name} has {a} - {b} = {a - b} {thing}s left."
    return Solved({"a": a, "b": b, "name": name, "thing": thing}, answer, {"number": str(a - b)})


def _product(operand: Operand) -> Solved:
    a, b = operand
    return Solved({"a": a, "b": b}, f"{a} x {b} = {a * b}.", {"number": str(a * b)})


def _bigger(operand: Operand) -> Solved:
    large, small = max(operand), min(operand)
    fields = {"a": operand[0], "b": operand[1]}
    return Solved(fields, f"The larger number is {large}.", {"any": [str(large)], "none": [str(small)]})


def _smaller(operand: Operand) -> Solved:
    large, small = max(operand), min(operand)
    fields = {"a": operand[0], "b": operand[1]}
    return Solved(fields, f"The smaller number is {small}.", {"any": [str(small)], "none": [str(large)]})


def _is_greater(operand: Operand) -> Solved:
    a, b = operand
    answer = f"Yes, {a} is greater than {b}." if a > b else f"No, {a} is not greater than {b}."
    return Solved({"a": a, "b": b}, answer, {"starts": ["yes" if a > b else "no"]})


def _is_less(operand: Operand) -> Solved:
    a, b = operand
    answer = f"Yes, {a} is less than {b}." if a < b else f"No, {a} is not less than {b}."
    return Solved({"a": a, "b": b}, answer, {"starts": ["yes" if a < b else "no"]})


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


def _up(operand: Operand) -> Solved:
    a, b = operand
    numbers = [str(n) for n in range(a, b + 1)]
    return Solved({"a": a, "b": b}, ", ".join(numbers) + ".", {"sequence": numbers})


def _down(operand: Operand) -> Solved:
    a, b = operand
    numbers = [str(n) for n in range(b, a - 1, -1)]
    return Solved({"a": a, "b": b}, ", ".join(numbers) + ".", {"sequence": numbers})


def _twos(operand: Operand) -> Solved:
    a, b, step = operand
    numbers = [str(n) for n in range(a, b + 1, step)]
    fields = {"a": a, "b": b, "step": {2: "twos", 5: "fives", 10: "tens"}[step]}
    return Solved(fields, ", ".join(numbers) + ".", {"sequence": numbers})


def _steps(rng: random.Random) -> Operand:
    step = rng.choice((2, 5, 10))
    start = step * rng.randint(1, 6)
    return start, start + step * rng.randint(2, 6), step


def _after(operand: Operand) -> Solved:
    return Solved(
        {"a": operand[0]}, f"The number after {operand[0]} is {operand[0] + 1}.", {"number": str(operand[0] + 1)}
    )


def _before(operand: Operand) -> Solved:
    return Solved(
        {"a": operand[0]}, f"The number before {operand[0]} is {operand[0] - 1}.", {"number": str(operand[0] - 1)}
    )


SUMS = Skill("sums", (
    Question((
        "What is {a} + {b}?", "What is {a} plus {b}?", "{a} + {b} = ?", "Work out {a} + {b}.", "Add {a} and {b}.",
        "What do you get if you add {a} and {b}?", "How much is {a} plus {b}?", "What is the sum of {a} and {b}?",
        "Calculate {a} + {b}.", "Find the sum of {a} and {b}.", "What does {a} plus {b} equal?",
        "Compute {a} plus {b}.",
    ), _pair, _sum, weight=3),
    Question((
        "{name} has {a} {thing}s and gets {b} more. How many {thing}s does {name} have now?",
        "{name} has {a} {thing}s and buys {b} more. How many {thing}s does {name} have?",
        "{name} finds {a} {thing}s, then {b} more. How many {thing}s does {name} have in all?",
        "{name} had {a} {thing}s and was given {b} more. How many {thing}s does {name} have now?",
        "{name} owns {a} {thing}s. A friend brings {b} more. How many {thing}s does {name} own now?",
    ), lambda rng: (*_several(rng), rng.choice(PERSONS), rng.choice(THINGS)), _gain, by=2),
), weight=1.5)  # fmt: skip

DIFFERENCES = Skill("differences", (
    Question((
        "What is {a} - {b}?", "What is {a} minus {b}?", "{a} - {b} = ?", "Work out {a} - {b}.",
        "Subtract {b} from {a}.",
        "Take {b} away from {a}.", "How much is {a} minus {b}?", "What is {b} less than {a}?", "Calculate {a} - {b}.",
        "What is the difference between {a} and {b}?", "What does {a} minus {b} equal?", "Compute {a} minus {b}.",
    ), _larger_first, _difference, weight=3),
    Question((
        "{name} has {a} {thing}s and gives away {b}. How many {thing}s are left?",
        "{name} has {a} {thing}s and loses {b}. How many {thing}s does {name} have left?",
        "{name} had {a} {thing}s and sold {b}. How many {thing}s does {name} still have?",
        "{name} owned {a} {thing}s, but {b} were stolen. How many {thing}s does {name} have left?",
        "There were {a} {thing}s in the bag of {name}, and {b} fell out. How many {thing}s are left?",
    ), lambda rng: (*_larger_first(rng, _several), rng.choice(PERSONS), rng.choice(THINGS)), _loss, by=2),
), weight=1.5)  # fmt: skip

PRODUCTS = Skill("products", (
    Question((
        "What is {a} x {b}?", "What is {a} times {b}?", "{a} x {b} = ?", "Work out {a} x {b}.", "Multiply {a} by {b}.",
        "How much is {a} times {b}?", "What is {a} multiplied by {b}?", "What is the product of {a} and {b}?",
        "Calculate {a} x {b}.", "Find {a} times {b}.", "What does {a} times {b} equal?", "Compute {a} times {b}.",
    ), lambda rng: (rng.randint(2, 10), rng.randint(2, 12)), _product),
))  # fmt: skip

COMPARING = Skill("comparing", (
    Question((
        "Which number is larger, {a} or {b}?", "Which is bigger, {a} or {b}?", "Which number is greater: {a} or {b}?",
        "Tell me the larger number: {a} or {b}.", "What is the larger of {a} and {b}?",
        "Pick the larger number: {a}, {b}",
    ), _different, _bigger),
    Question((
        "Which number is smaller, {a} or {b}?", "Which is less, {a} or {b}?", "Which number is lower: {a} or {b}?",
        "Tell me the smaller number: {a} or {b}.", "What is the smaller of {a} and {b}?",
        "Pick the smaller number: {a}, {b}",
    ), _different, _smaller),
    Question((
        "Is {a} greater than {b}?", "Is {a} larger than {b}? Answer yes or no.", "Is {a} more than {b}?",
        "Yes or no: is {a} greater than {b}?", "Is the number {a} bigger than {b}?", "Is {a} bigger than {b}?",
    ), _different, _is_greater),
    Question((
        "Is {a} less than {b}?", "Is {a} smaller than {b}? Answer yes or no.", "Is {a} below {b}?",
        "Yes or no: is {a} less than {b}?", "Is the number {a} smaller than {b}?",
    ), _different, _is_less),
    Question((
        "Which is the largest number: {list}?", "What is the largest of these numbers: {list}?",
        "Find the largest number: {list}", "Which of these numbers is the largest: {list}?",
        "Pick the biggest number from this list: {list}",
    ), _three, _largest),
))  # fmt: skip

COUNTING = Skill("counting", (
    Question((
        "Count from {a} to {b}.", "Write the numbers from {a} to {b}.", "List the numbers from {a} to {b}.",
        "Count up from {a} to {b}.", "Give the numbers from {a} to {b}, separated by commas.",
        "Count from {a} up to {b}, please.", "Say the numbers from {a} to {b}.",
        "Write down all numbers from {a} to {b}.",
    ), _range, _up, weight=2),
    Question((
        "Count down from {b} to {a}.", "Count backwards from {b} to {a}.", "Write the numbers from {b} down to {a}.",
        "List the numbers from {b} down to {a}.", "Count back from {b} to {a}.",
    ), _range, _down),
    Question((
        "Count by {step} from {a} to {b}.", "Count in {step} from {a} to {b}.", "Count up by {step} from {a} to {b}.",
        "List the numbers from {a} to {b}, counting by {step}.", "Go from {a} to {b} by {step}.",
    ), _steps, _twos),
    Question((
        "What number comes after {a}?", "Which number comes after {a}?", "What is the next number after {a}?",
        "Tell me the number after {a}.", "What comes after {a} when you count?",
    ), lambda rng: (rng.randint(1, 150),), _after),
    Question((
        "What number comes before {a}?", "Which number comes before {a}?", "What is the number just before {a}?",
        "Tell me the number before {a}.", "What comes before {a} when you count?",
    ), lambda rng: (rng.randint(2, 150),), _before),
))  # fmt: skip
