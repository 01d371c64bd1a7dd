import random
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from dllm.bench.sandbox import harmless_code
from dllm.training.tasks import SKILLS, Skill, draw, draw_of
from dllm.training.tasks.code import FUNCTIONS, OTHER_NAMES
from dllm.training.tasks.facts import CAPITALS
from dllm.training.tasks.task import TRAINED, Operand, Question, Solved, is_held_out, key, read_data, right, skill

SIDES = [False, True]
RUN = "code"  # its answers are run, which takes longer
QUESTIONS = [
    pytest.param(replace(skill, questions=(question,)), id=f"{skill.name}: {question.wordings[0]}")
    for skill in SKILLS.values()
    for question in skill.questions
]


def drawn_operands(skill: Skill, *, held_out: bool) -> set[str]:
    """The keys of the operands behind many draws."""
    keys: set[str] = set()

    def watched(question: Question) -> Question:
        def solve(operand: Operand) -> Solved:
            keys.add(key(skill.name, operand[: question.by]))
            return question.solve(operand)

        return replace(question, solve=solve)

    skill = replace(skill, questions=tuple(watched(question) for question in skill.questions))
    rng = random.Random(0)
    for _ in range(300):
        draw_of(skill, rng, held_out=held_out)
    return keys


@pytest.mark.parametrize("held_out", SIDES)
def test_every_answer_passes_its_check_and_no_prompt_does(held_out: bool) -> None:
    rng = random.Random(0)
    for _ in range(5000):
        task = draw(rng, held_out=held_out)
        assert not right(task.check, task.prompt), task
        if task.skill != RUN:
            assert right(task.check, task.answer), task


@pytest.mark.parametrize("skill", QUESTIONS)
@pytest.mark.parametrize("held_out", SIDES)
def test_every_question_can_be_asked_on_both_sides(skill: Skill, held_out: bool) -> None:
    rng = random.Random(0)
    for _ in range(2 if skill.name == RUN else 20):
        task = draw_of(skill, rng, held_out=held_out)
        assert task.skill == skill.name
        assert right(task.check, task.answer), task


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_passes_its_cases(name: str) -> None:
    for question, operand in zip(SKILLS[RUN].questions, ((name,), (name, "solve")), strict=True):
        solved = question.solve(operand)
        assert harmless_code(solved.answer) is not None
        code = solved.answer.removeprefix("```python\n").removesuffix("\n```")
        room: dict[str, Any] = {}
        exec(code, room)  # ours and harmless, so that it need not start an interpreter for each function
        function = room[solved.check["code"].get("name", name)]
        for arguments, result in solved.check["code"]["cases"]:
            assert function(*arguments) == result


@pytest.mark.parametrize("name", SKILLS)
def test_no_operand_is_on_both_sides(name: str) -> None:
    trained, held_out = (drawn_operands(SKILLS[name], held_out=side) for side in SIDES)
    assert trained
    assert held_out
    assert not trained & held_out


def test_no_wording_is_on_both_sides() -> None:
    trained, held_out = (
        {text for skill in SKILLS.values() for question in skill.questions for text in question.worded(side)}
        for side in SIDES
    )
    assert not trained & held_out
    assert 0.15 < len(held_out) / len(trained | held_out) < 0.3


@pytest.mark.parametrize("skill", QUESTIONS)
def test_a_question_has_wordings_on_both_sides(skill: Skill) -> None:
    [question] = skill.questions
    assert len(set(question.wordings)) == len(question.wordings) >= 4
    assert question.worded(True)


@pytest.mark.parametrize("name", SKILLS)
def test_a_skill_is_worded_in_many_ways(name: str) -> None:
    assert SKILLS[name].name == name
    assert sum(len(question.wordings) for question in SKILLS[name].questions) >= 8


def test_there_are_many_skills() -> None:
    assert len(SKILLS) >= 14


@pytest.mark.parametrize("held_out", SIDES)
def test_the_same_seed_draws_the_same_tasks(held_out: bool) -> None:
    one, again, other = (random.Random(seed) for seed in (7, 7, 8))
    first = [draw(one, held_out=held_out) for _ in range(50)]
    assert first == [draw(again, held_out=held_out) for _ in range(50)]
    assert first != [draw(other, held_out=held_out) for _ in range(50)]


def test_what_the_page_asks_is_trained_on() -> None:
    for name, operands in TRAINED.items():
        assert not any(is_held_out(name, operand) for operand in operands)
    for name, prompt in (
        ("capitals", "What is the capital of France?"),
        ("opposites", "What is the opposite of hot?"),
        ("code", "Write a Python function that adds two numbers."),
    ):
        rng = random.Random(0)
        assert any(draw_of(SKILLS[name], rng, held_out=False).prompt == prompt for _ in range(20_000)), prompt


def test_an_operand_is_on_one_side_in_any_order() -> None:
    assert {is_held_out("sums", (a, b)) == is_held_out("sums", (b, a)) for a in range(20) for b in range(20)} == {True}


def test_data_of_another_form_are_refused_at_once() -> None:
    with pytest.raises(ValidationError):
        read_data("words", dict[str, int])
    question = Question(lambda rng: (), lambda operand: Solved({}, "", {}))
    with pytest.raises(ValueError, match=r"has products as \['product'\]; allowed: quotient"):
        skill("products", quotient=question)


def test_a_question_without_an_operand_on_a_side_is_named() -> None:
    asked = ("What is {a}?",) * 4
    question = Question(lambda rng: ("France",), lambda operand: Solved({"a": 1}, "1", {}), wordings=asked)
    with pytest.raises(ValueError, match=r"'What is \{a\}\?' has no held-out operand"):
        draw_of(Skill("capitals", (question,)), random.Random(0), held_out=True)


@pytest.mark.parametrize(
    ("country", "capital"),
    [("France", "Paris"), ("the Netherlands", "Amsterdam"), ("Kazakhstan", "Astana"), ("Iceland", "Reykjavik")],
)
def test_capitals_are_right(country: str, capital: str) -> None:
    assert CAPITALS[country] == capital


def test_no_other_name_is_that_of_a_function() -> None:
    assert not set(OTHER_NAMES) & set(FUNCTIONS)
