"""Suites: right answers pass, wrong ones do not, nor does the question; what is wrong in a file is named."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.bench.suite import CHECKS, OPEN, Item, Suite, SuiteError, is_correct

DEFAULT = Suite.load("default")
KINDS = {
    "arithmetic", "capital", "code", "copy", "counting", "membership", "opposite", "reverse", "uppercase", "yes-no",
}  # fmt: skip

# check, right answers, wrong answers
CASES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "any": (
        {"any": ["Paris"]},
        ["Paris", "It is paris.", "The capital of France is **Paris**, a city."],
        ["", "Lyon", "Parisian food", "What is the capital of France?"],
    ),
    "any of two": ({"any": ["small", "little"]}, ["little.", '"Small"'], ["What is the opposite of big?", "smaller"]),
    "any number": ({"any": ["12"]}, ["12", "It is 12."], ["120", "112", "1.12", "12.5", "-12", "12,000"]),
    "none": (
        {"any": ["gold"], "none": ["bread", "wool"]},
        ["gold", "The metal in this list is Gold."],
        ["bread", "bread, gold, wool", "Find the metal in this list: bread, gold, wool", "a golden one"],
    ),
    "equal": (
        {"equal": "The cat sat."},
        ["The cat sat.", '"the cat sat"', " The cat sat!\n", "A: The cat sat."],
        ["The cat", "The cat sat. The cat sat.", 'Repeat this: "The cat sat."', ""],
    ),
    "exactly": ({"exactly": "CAT"}, ["CAT", '"CAT".'], ["cat", "Cat", "Write cat in uppercase.", "CAT CAT"]),
    "starts": (
        {"starts": ["yes"]},
        ["Yes", "yes, it is.", "**Yes**", "A: Yes, a cat is an animal."],
        ["No", "Yesterday", "Yes or no: is a cat an animal?", "Is a cat an animal?", "No, yes.", "I say yes", ""],
    ),
    "sequence": (
        {"sequence": ["1", "2", "3"]},
        ["1, 2, 3", "1 2 3.", "1,2,3", "1. 1\n2. 2\n3. 3", "1\n2\n3", "Sure: one, two, three!"],
        ["1, 3", "1, 2, 3, 4", "3, 2, 1", "1, 2, 2, 3", "0, 1, 2, 3", "Count from 1 to 3.", "123", "1. 2. 9. 3", ""],
    ),
    "number": (
        {"number": "8"},
        ["8", "3 + 5 = 8", "You have 8 apples.", "The answer is 8.0.", "eight", "3 + 5 = 8\n\nHere 3 and 5 are added."],
        ["18", "80", "3 + 5", "What is 3 + 5?", "8 + 5 = 13", "-8", "8.5", "7, 8, 9", "It is 9.\nIt is 8.", ""],
    ),
    "different": (
        {"different": {"of": ["red", "green", "blue"], "count": 2}},
        ["Red and blue.", "red, green, blue", "I like green; I also like red."],
        ["", "red", "red, red", "red, blue, red", "Name two different colours.", "reddish blue", "yellow, pink"],
    ),
    "different and not as it was": (
        {"different": {"of": ["4", "7", "2"], "count": 3}, "none": ["4, 7, 2"]},
        ["7, 4, 2", "2 4 7", "Sure: 7, 2, 4."],
        ["4, 7, 2", "4, 7", "7, 7, 2", "47, 2", "7, 4, 2, 2"],
    ),
    "code": (
        {"code": {"name": "add", "cases": [[[2, 3], 5]]}},
        ["def add(a, b):\n    return a + b"],
        ["5", "def add(a, b):\n    return a - b", "Write a function add(a, b) that adds two numbers."],
    ),
}  # fmt: skip


def write(folder: Path, *items: object, **more: object) -> Path:
    path = folder / "mine.json"
    path.write_text(json.dumps({"name": "mine", "items": items, **more}))
    return path


def item(**changes: object) -> dict[str, object]:
    entry = {"id": "a", "kind": "capital", "prompt": "What is the capital of France?", "check": {"any": ["Paris"]}}
    return {key: value for key, value in {**entry, **changes}.items() if value is not None}


def load_one(folder: Path, **changes: object) -> Item:
    [only] = Suite.load(write(folder, item(**changes))).items
    return only


@pytest.mark.parametrize("name", CASES)
def test_right_answers_pass_and_wrong_ones_do_not(name: str, tmp_path: Path) -> None:
    check, right, wrong = CASES[name]
    one = load_one(tmp_path, prompt="?", check=check)
    assert {answer: is_correct(one, answer) for answer in right} == dict.fromkeys(right, True)
    assert {answer: is_correct(one, answer) for answer in wrong} == dict.fromkeys(wrong, False)


def test_every_check_has_a_case() -> None:
    assert {name for check, _, _ in CASES.values() for name in check} == set(CHECKS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"check": {"anny": ["Paris"]}}, r"item 1 \(a\): check is 'anny'; allowed: any, none, equal"),
        ({"check": {"any": []}}, r"check 'any': it is \[\]; allowed"),
        ({"check": {"any": [""]}}, r"check 'any': 0 is ''; allowed"),
        ({"check": {"number": 8}}, r"check 'number': it is 8; allowed"),
        ({"check": {"code": {"name": "f", "cases": []}}}, r"check 'code': cases is \[\]; allowed"),
        ({"check": {"different": {"of": ["red"], "count": 0}}}, r"check 'different': count is 0; allowed"),
        ({"check": {"different": {"of": ["red"], "count": 2}}}, r"check 'different': .*count is 2; allowed: up to 1"),
        ({"check": {"different": {"of": [], "count": 1}}}, r"check 'different': of is \[\]; allowed"),
        ({"check": {}}, r"check is \{\}; allowed: at least one"),
        ({"check": {"none": ["Lyon"]}}, r"allowed: at least one that asks for something"),
        ({"check": {"any": ["France"]}}, r"passes as its own answer"),
        ({"prompt": ""}, r"prompt is ''; allowed"),
        ({"prompt": " \n"}, r"prompt is ' \\n'; allowed: text"),
        ({"kind": OPEN}, r"kind is 'open' with a check; allowed"),
        ({"check": None}, r"kind is 'capital' without a check; allowed"),
        ({"colour": "red"}, r"colour is 'red'; allowed"),
        ({"id": 7}, r"item 1: id is 7; allowed"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=message):
        load_one(tmp_path, **changes)


def test_a_file_that_is_no_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"'defalt'; allowed: default, dependent, tasks, or a JSON file"):
        Suite.load("defalt")
    with pytest.raises(SuiteError, match=r"item 2: id is 'a' for the second time"):
        Suite.load(write(tmp_path, item(), item()))
    with pytest.raises(SuiteError, match=r"allowed: an object of name and items"):
        Suite.load(write(tmp_path, item(), extra=1))
    (tmp_path / "mine.json").write_text("{")
    with pytest.raises(SuiteError, match=r"mine.json is not JSON"):
        Suite.load(tmp_path / "mine.json")


def test_an_open_item_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'a' is open"):
        is_correct(load_one(tmp_path, kind=OPEN, check=None), "text")


@given(
    wanted=st.integers(0, 2000), other=st.integers(0, 2000), words=st.sampled_from(["{}", "= {}", "It is {}.", "({})"])
)
def test_a_number_is_right_only_as_a_whole(wanted: int, other: int, words: str) -> None:
    for check in ({"number": str(wanted)}, {"any": (str(wanted),)}):
        assert is_correct(Item(id="a", kind="k", prompt="?", check=check), words.format(other)) == (wanted == other)


@given(st.integers(0, 50), st.integers(2, 12), st.sampled_from([", ", ",", " ", "\n", " and "]))
def test_counting_is_right_only_when_whole(first: int, count: int, between: str) -> None:
    wanted = tuple(str(first + i) for i in range(count))
    one = Item(id="a", kind="k", prompt="?", check={"sequence": wanted})
    assert is_correct(one, between.join(wanted)) or (between == "," and first + count > 100)
    assert not is_correct(one, between.join(wanted[:-1]))
    assert not is_correct(one, between.join([*wanted, str(first + count)]))


@given(st.sampled_from(DEFAULT.checked), st.text(max_size=80))
def test_any_text_is_judged_without_an_error(one: Item, text: str) -> None:
    assert is_correct(one, text) in (True, False)


@pytest.mark.parametrize("answer", ["", "Yes or no?", "I do not know.", "a", "The answer is: 42."])
def test_no_item_takes_what_answers_nothing(answer: str) -> None:
    assert [one.id for one in DEFAULT.checked if is_correct(one, answer)] == []


def test_the_shipped_suite_has_what_it_must() -> None:
    kinds = Counter(one.kind for one in DEFAULT.items)
    assert len(DEFAULT.checked) >= 200
    assert len(DEFAULT.open) == kinds[OPEN] == 60
    assert set(kinds) == {*KINDS, OPEN}
    prompts = Counter(" ".join(one.prompt.lower().split()) for one in DEFAULT.items)
    assert [prompt for prompt, count in prompts.items() if count > 1] == []
    assert all(re.fullmatch(r"[a-z0-9-]+", one.id) and one.id.startswith(f"{one.kind}-") for one in DEFAULT.items)


SOLUTIONS = {
    "code-absolute": "def absolute(x):\n    return abs(x)",
    "code-add": "def add(a, b):\n    return a + b",
    "code-any-add": "def add(a, b): return a + b",
    "code-any-double": "def f(x):\n    return x + x",
    "code-any-even": "def f(n): return n % 2 == 0",
    "code-any-length": "def f(s): return len(s)",
    "code-any-multiply": "def f(a, b):\n    return a * b",
    "code-any-reverse": "def f(s): return s[::-1]",
    "code-any-square-area": "def area(a, b):\n    return a * b",
    "code-any-subtract": "def f(a, b):\n    return a - b",
    "code-any-sum": "def f(v):\n    return sum(v)",
    "code-any-upper": "def f(s):\n    return s.upper()",
    "code-area": "def area(w, h):\n    return w * h",
    "code-average": "def average(a, b):\n    return (a + b) / 2",
    "code-count": "def count(v):\n    return len(v)",
    "code-double": "def double(x):\n    return 2 * x",
    "code-increment": "def increment(x):\n    return x + 1",
    "code-is-equal": "def is_equal(a, b):\n    return a == b",
    "code-is-even": "def is_even(n):\n    return n % 2 == 0",
    "code-is-negative": "def is_negative(x):\n    return x < 0",
    "code-is-positive": "def is_positive(x):\n    return x > 0",
    "code-is-zero": "def is_zero(x):\n    return x == 0",
    "code-lambda-add": "lambda a, b: a + b",
    "code-lambda-double": "lambda x: 2 * x",
    "code-lambda-even": "lambda n: n % 2 == 0",
    "code-lambda-multiply": "lambda a, b: a * b",
    "code-last": "def last(v):\n    return v[-1]",
    "code-length": "def length(s):\n    return len(s)",
    "code-lower": "def lower(s):\n    return s.lower()",
    "code-max-of-two": "def max_of_two(a, b):\n    return max(a, b)",
    "code-min-of-two": "def min_of_two(a, b):\n    return min(a, b)",
    "code-multiply": "def multiply(a, b):\n    return a * b",
    "code-sort-list": "def sort_list(v):\n    return sorted(v)",
    "code-subtract": "def subtract(a, b):\n    return a - b",
    "code-total": "def total(v):\n    return sum(v)",
    "code-triple": "def triple(x):\n    return 3 * x",
}

CODE = [one for one in DEFAULT.checked if one.kind == "code"]


def test_every_code_item_has_a_solution() -> None:
    assert {one.id for one in CODE} == set(SOLUTIONS)


@pytest.mark.parametrize("one", CODE, ids=lambda one: one.id)
def test_a_code_item_knows_right_from_wrong(one: Item) -> None:
    assert is_correct(one, SOLUTIONS[one.id])
    parameters = SOLUTIONS[one.id].partition("(")[2].partition(")")[0]
    name = SOLUTIONS[one.id].partition("(")[0]
    assert not is_correct(one, f"{name}({parameters}):\n    return None")


DEPENDENT = Suite.load("dependent")
ANSWERS = {
    "different-colours": ("Red and blue.", "Red and red."),
    "different-digits": ("3, 7", "3, 3"),
    "different-animals": ("A cat, a dog, and a horse.", "A cat, a dog, and a cat."),
    "different-days": ("Monday and Tuesday.", "Monday and Monday."),
    "different-months": ("May, June", "May, May"),
    "different-seasons": ("Summer and winter.", "Summer and summer."),
    "pair-city": ("Tokyo, Japan", "Tokyo, France"),
    "pair-next-day": ("Sunday, Monday", "Monday, Sunday"),
    "pair-next-number": ("8, 9", "8, 8"),
    "pair-twice": ("Blue, blue", "Blue, green"),
    "order-words": ("bird, cat, dog", "bird, cat, cat"),
    "order-numbers": ("2, 7, 4", "4, 7, 2"),
    "order-colours": ("blue, red, green", "blue, red, red"),
}


def test_every_dependent_item_has_an_answer() -> None:
    assert [one.id for one in DEPENDENT.items] == list(ANSWERS)
    assert DEPENDENT.open == ()
    assert all(one.id.startswith(f"{one.kind}-") for one in DEPENDENT.items)


@pytest.mark.parametrize("one", DEPENDENT.items, ids=lambda one: one.id)
def test_a_dependent_item_is_lost_by_one_wrong_token(one: Item) -> None:
    right, wrong = ANSWERS[one.id]
    assert is_correct(one, right)
    assert not is_correct(one, wrong)


@given(st.lists(st.sampled_from(["red", "green", "blue", "grey"]), max_size=5), st.integers(1, 3))
def test_different_by_definition(words: list[str], count: int) -> None:
    known = ("red", "green", "blue")
    one = Item(id="a", kind="k", prompt="?", check={"different": CHECKS["different"][0](of=known, count=count)})
    found = [word for word in words if word in known]
    assert is_correct(one, ", ".join(words)) == (len(found) == len(set(found)) >= count)
