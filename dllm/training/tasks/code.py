"""Tasks of short Python functions, each with the cases that it must pass."""

import random
from typing import Any

from dllm.training.tasks.task import Operand, Question, Skill, Solved

Cases = tuple[tuple[tuple[Any, ...], Any], ...]

# name(parameters): the task after "a function that"; the expression it returns; its cases as (arguments, result)
FUNCTIONS: dict[str, tuple[str, str, str, Cases]] = {
    name: (parameters, task, returned, cases)
    for name, parameters, task, returned, cases in (
        ("add", "a, b", "adds two numbers", "a + b", (((2, 3), 5), ((-1, 4), 3))),
        ("subtract", "a, b", "subtracts b from a", "a - b", (((7, 3), 4), ((1, 4), -3))),
        ("multiply", "a, b", "multiplies two numbers", "a * b", (((2, 3), 6), ((-1, 4), -4))),
        ("divide", "a, b", "divides a by b", "a / b", (((6, 3), 2), ((9, 2), 4.5))),
        ("double", "n", "doubles a number", "n * 2", (((3,), 6), ((-4,), -8))),
        ("triple", "n", "triples a number", "n * 3", (((3,), 9), ((-4,), -12))),
        ("halve", "n", "divides a number by two", "n / 2", (((6,), 3), ((5,), 2.5))),
        ("square", "n", "squares a number", "n * n", (((3,), 9), ((-4,), 16))),
        ("cube", "n", "returns the cube of a number", "n * n * n", (((3,), 27), ((-2,), -8))),
        ("negate", "n", "returns the negative of a number", "-n", (((3,), -3), ((-4,), 4))),
        ("increment", "n", "adds one to a number", "n + 1", (((3,), 4), ((-1,), 0))),
        ("decrement", "n", "subtracts one from a number", "n - 1", (((3,), 2), ((0,), -1))),
        ("add_ten", "n", "adds ten to a number", "n + 10", (((3,), 13), ((-10,), 0))),
        ("is_even", "n", "checks if a number is even", "n % 2 == 0", (((4,), True), ((7,), False))),
        ("is_odd", "n", "checks if a number is odd", "n % 2 == 1", (((4,), False), ((7,), True))),
        ("is_positive", "n", "checks if a number is positive", "n > 0", (((4,), True), ((-7,), False))),
        ("is_negative", "n", "checks if a number is negative", "n < 0", (((4,), False), ((-7,), True))),
        ("is_zero", "n", "checks if a number is zero", "n == 0", (((0,), True), ((3,), False))),
        ("is_equal", "a, b", "checks if a and b are equal", "a == b", (((2, 2), True), ((2, 3), False))),
        ("is_greater", "a, b", "checks if a is greater than b", "a > b", (((3, 2), True), ((2, 3), False))),
        ("is_smaller", "a, b", "checks if a is smaller than b", "a < b", (((3, 2), False), ((2, 3), True))),
        ("is_divisible", "a, b", "checks if a is divisible by b", "a % b == 0", (((6, 3), True), ((7, 3), False))),
        ("absolute", "n", "returns the absolute value of a number", "abs(n)", (((-3,), 3), ((4,), 4))),
        ("larger", "a, b", "returns the larger of two numbers", "max(a, b)", (((2, 5), 5), ((7, 3), 7))),
        ("smaller", "a, b", "returns the smaller of two numbers", "min(a, b)", (((2, 5), 2), ((7, 3), 3))),
        ("average", "a, b", "returns the average of two numbers", "(a + b) / 2", (((2, 4), 3), ((1, 2), 1.5))),
        ("remainder", "a, b", "returns the remainder of a divided by b", "a % b", (((7, 3), 1), ((8, 4), 0))),
        ("add_three", "a, b, c", "adds three numbers", "a + b + c", (((1, 2, 3), 6), ((0, 0, 5), 5))),
        ("largest_of_three", "a, b, c", "returns the largest of three numbers", "max(a, b, c)",
         (((1, 9, 3), 9), ((7, 0, 5), 7))),
        ("last_digit", "n", "returns the last digit of a number", "n % 10", (((123,), 3), ((40,), 0))),
        ("rectangle_area", "width, height", "returns the area of a rectangle", "width * height",
         (((2, 3), 6), ((5, 5), 25))),
        ("square_area", "side", "returns the area of a square", "side * side", (((3,), 9), ((5,), 25))),
        ("rectangle_perimeter", "width, height", "returns the perimeter of a rectangle", "2 * (width + height)",
         (((2, 3), 10), ((5, 5), 20))),
        ("square_perimeter", "side", "returns the perimeter of a square", "4 * side", (((3,), 12), ((5,), 20))),
        ("triangle_area", "base, height", "returns the area of a triangle", "base * height / 2",
         (((4, 3), 6), ((5, 1), 2.5))),
        ("to_minutes", "hours", "converts hours to minutes", "hours * 60", (((2,), 120), ((0,), 0))),
        ("to_seconds", "minutes", "converts minutes to seconds", "minutes * 60", (((2,), 120), ((5,), 300))),
        ("to_days", "weeks", "converts weeks to days", "weeks * 7", (((2,), 14), ((1,), 7))),
        ("to_centimeters", "meters", "converts meters to centimeters", "meters * 100", (((2,), 200), ((5,), 500))),
        ("to_fahrenheit", "celsius", "converts Celsius to Fahrenheit", "celsius * 9 / 5 + 32",
         (((0,), 32), ((100,), 212))),
        ("to_upper", "text", "converts a string to uppercase", "text.upper()", ((("abc",), "ABC"), (("Hi",), "HI"))),
        ("to_lower", "text", "converts a string to lowercase", "text.lower()", ((("ABC",), "abc"), (("Hi",), "hi"))),
        ("capitalize", "text", "capitalizes a string", "text.capitalize()", ((("abc",), "Abc"), (("hi",), "Hi"))),
        ("reverse_string", "text", "reverses a string", "text[::-1]", ((("abc",), "cba"), (("hi",), "ih"))),
        ("string_length", "text", "returns the length of a string", "len(text)", ((("abc",), 3), (("",), 0))),
        ("first_letter", "text", "returns the first letter of a string", "text[0]", ((("abc",), "a"), (("hi",), "h"))),
        ("last_letter", "text", "returns the last letter of a string", "text[-1]", ((("abc",), "c"), (("hi",), "i"))),
        ("join_strings", "a, b", "joins two strings", "a + b", ((("ab", "cd"), "abcd"), (("", "x"), "x"))),
        ("repeat_string", "text, n", "repeats a string n times", "text * n", ((("ab", 2), "abab"), (("x", 3), "xxx"))),
        ("is_empty", "text", "checks if a string is empty", 'text == ""', ((("",), True), (("a",), False))),
        ("remove_spaces", "text", "removes all spaces from a string", 'text.replace(" ", "")',
         ((("a b c",), "abc"), (("hi",), "hi"))),
        ("strip_text", "text", "removes spaces from both ends of a string", "text.strip()",
         (((" a b ",), "a b"), (("hi",), "hi"))),
        ("count_words", "text", "counts the words in a string", "len(text.split())", ((("a b c",), 3), (("hi",), 1))),
        ("split_words", "text", "splits a string into words", "text.split()", ((("a b",), ["a", "b"]), (("hi",),
         ["hi"]))),
        ("is_palindrome", "text", "checks if a string is a palindrome", "text == text[::-1]",
         ((("level",), True), (("abc",), False))),
        ("count_letter", "text, letter", "counts how often a letter occurs in a string", "text.count(letter)",
         ((("banana", "a"), 3), (("hi", "x"), 0))),
        ("contains_letter", "text, letter", "checks if a string contains a letter", "letter in text",
         ((("banana", "a"), True), (("hi", "x"), False))),
        ("starts_with", "text, start", "checks if a string starts with another string", "text.startswith(start)",
         ((("banana", "ba"), True), (("hi", "x"), False))),
        ("ends_with", "text, end", "checks if a string ends with another string", "text.endswith(end)",
         ((("banana", "na"), True), (("hi", "x"), False))),
        ("count_vowels", "text", "counts the vowels in a string", 'sum(letter in "aeiou" for letter in text)',
         ((("banana",), 3), (("xyz",), 0))),
        ("greet", "name", "returns Hello and a name", '"Hello " + name', ((("Tom",), "Hello Tom"), (("Eva",),
         "Hello Eva"))),
        ("add_exclamation", "text", "adds an exclamation mark to a string", 'text + "!"',
         ((("hi",), "hi!"), (("stop",), "stop!"))),
        ("to_string", "n", "converts a number to a string", "str(n)", (((12,), "12"), ((0,), "0"))),
        ("to_integer", "text", "converts a string to an integer", "int(text)", ((("12",), 12), (("0",), 0))),
        ("sum_list", "numbers", "returns the sum of a list", "sum(numbers)", ((([1, 2, 3],), 6), (([5],), 5))),
        ("largest", "numbers", "returns the largest number in a list", "max(numbers)", ((([1, 9, 3],), 9),
         (([5],), 5))),
        ("smallest", "numbers", "returns the smallest number in a list", "min(numbers)",
         ((([4, 1, 3],), 1), (([5],), 5))),
        ("list_average", "numbers", "returns the average of a list", "sum(numbers) / len(numbers)",
         ((([1, 2, 3],), 2), (([1, 2],), 1.5))),
        ("list_length", "items", "returns the length of a list", "len(items)", ((([1, 2, 3],), 3), (([],), 0))),
        ("first_item", "items", "returns the first element of a list", "items[0]", ((([4, 2],), 4), ((["a"],), "a"))),
        ("last_item", "items", "returns the last element of a list", "items[-1]", ((([4, 2],), 2), ((["a"],), "a"))),
        ("second_item", "items", "returns the second element of a list", "items[1]",
         ((([4, 2],), 2), ((["a", "b", "c"],), "b"))),
        ("sort_list", "items", "sorts a list", "sorted(items)", ((([3, 1, 2],), [1, 2, 3]), (([5],), [5]))),
        ("sort_descending", "items", "sorts a list in descending order", "sorted(items, reverse=True)",
         ((([3, 1, 2],), [3, 2, 1]), (([5],), [5]))),
        ("reverse_list", "items", "reverses a list", "items[::-1]", ((([3, 1, 2],), [2, 1, 3]), (([5],), [5]))),
        ("contains", "items, value", "checks if a list contains a value", "value in items",
         ((([1, 2], 2), True), (([1, 2], 3), False))),
        ("count_value", "items, value", "counts how often a value occurs in a list", "items.count(value)",
         ((([1, 2, 2], 2), 2), (([1, 2], 3), 0))),
        ("is_list_empty", "items", "checks if a list is empty", "len(items) == 0", ((([],), True), (([1],), False))),
        ("double_all", "numbers", "doubles every number in a list", "[n * 2 for n in numbers]",
         ((([1, 2],), [2, 4]), (([],), []))),
        ("square_all", "numbers", "squares every number in a list", "[n * n for n in numbers]",
         ((([1, 3],), [1, 9]), (([],), []))),
        ("keep_even", "numbers", "returns the even numbers of a list", "[n for n in numbers if n % 2 == 0]",
         ((([1, 2, 4],), [2, 4]), (([3],), []))),
        ("keep_odd", "numbers", "returns the odd numbers of a list", "[n for n in numbers if n % 2 == 1]",
         ((([1, 2, 3],), [1, 3]), (([4],), []))),
        ("keep_positive", "numbers", "returns the positive numbers of a list", "[n for n in numbers if n > 0]",
         ((([1, -2, 3],), [1, 3]), (([-4],), []))),
        ("join_words", "words", "joins a list of words with spaces", '" ".join(words)',
         (((["a", "b"],), "a b"), ((["hi"],), "hi"))),
        ("join_lists", "a, b", "joins two lists", "a + b", ((([1], [2]), [1, 2]), (([], [3]), [3]))),
        ("numbers_to", "n", "returns a list of the numbers from 1 to n", "list(range(1, n + 1))",
         (((3,), [1, 2, 3]), ((1,), [1]))),
        ("sum_to", "n", "returns the sum of the numbers from 1 to n", "sum(range(1, n + 1))", (((3,), 6), ((10,), 55))),
        ("range_of", "numbers", "returns the difference between the largest and smallest number in a list",
         "max(numbers) - min(numbers)", ((([1, 9, 3],), 8), (([5],), 0))),
        ("total_price", "price, count", "multiplies a price by a count", "price * count", (((3, 4), 12), ((5, 0), 0))),
        ("both", "a, b", "checks if a and b are both true", "a and b", (((True, True), True), ((True, False), False))),
        ("either", "a, b", "checks if a or b is true", "a or b", (((False, True), True), ((False, False), False))),
        ("opposite", "value", "returns the opposite of a truth value", "not value", (((True,), False),
         ((False,), True))),
        ("is_adult", "age", "checks if an age is at least 18", "age >= 18", (((20,), True), ((18,), True),
         ((9,), False))),
        ("is_longer", "a, b", "checks if string a is longer than string b", "len(a) > len(b)",
         ((("abc", "a"), True), (("a", "abc"), False))),
        ("swap", "a, b", "returns b and a in a list", "[b, a]", (((1, 2), [2, 1]), (("x", "y"), ["y", "x"]))),
        ("first_three", "text", "returns the first three letters of a string", "text[:3]",
         ((("banana",), "ban"), (("abcd",), "abc"))),
        ("last_two", "text", "returns the last two letters of a string", "text[-2:]",
         ((("banana",), "na"), (("abcd",), "cd"))),
        ("without_first", "items", "returns a list without its first element", "items[1:]",
         ((([1, 2, 3],), [2, 3]), (([5],), []))),
    )
}  # fmt: skip
OTHER_NAMES = ("solve", "compute", "f", "helper", "my_function", "calculate", "process", "answer", "get_result", "run")


def _code(operand: Operand, name: str, *, bound: bool) -> Solved:
    """The function under a name; `bound`: the prompt names it and its parameters, so it must be called that."""
    parameters, task, returned, cases = FUNCTIONS[operand[0]]
    answer = f"```python\ndef {name}({parameters}):\n    return {returned}\n```"
    check = {"cases": [[list(arguments), result] for arguments, result in cases]}
    fields = {"task": task, "name": name, "parameters": parameters}
    return Solved(fields, answer, {"code": {"name": name, **check} if bound else check})


def _free(operand: Operand) -> Solved:
    return _code(operand, operand[0], bound=False)


def _called(operand: Operand) -> Solved:
    return _code(operand, operand[1], bound=True)


def _function(rng: random.Random) -> Operand:
    return (rng.choice(tuple(FUNCTIONS)),)


def _function_and_name(rng: random.Random) -> Operand:
    function = rng.choice(tuple(FUNCTIONS))
    return function, function if rng.random() < 0.7 else rng.choice(OTHER_NAMES)


CODE = Skill("code", (
    Question((
        "Write a Python function that {task}.", "Write a short Python function that {task}.",
        "Show me a Python function that {task}.", "Can you write a Python function that {task}?",
        "Give me a Python function that {task}.", "I need a Python function that {task}.",
        "Please write a function in Python that {task}.", "Write Python code for a function that {task}.",
    ), _function, _free),
    Question((
        "Write a Python function {name}({parameters}) that {task}.",
        "Define {name}({parameters}) in Python. It {task}.",
        "Write a Python function called {name} with parameters ({parameters}) that {task}.",
        "Write the Python function {name}({parameters}). It {task}.",
        "Complete in Python: {name}({parameters}) {task}.",
        "Please write {name}({parameters}), a Python function that {task}.",
        "Write a Python function named {name} that {task}. Its parameters are ({parameters}).",
        "In Python, write {name}({parameters}), which {task}.",
    ), _function_and_name, _called, by=1),
), weight=2.5)  # fmt: skip
