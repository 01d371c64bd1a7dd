import json
import re
from collections import Counter
from pathlib import Path

import pytest

from dllm.bench.suite import SUITES, Suite
from dllm.training import topics
from dllm.training.tasks import SKILLS
from dllm.training.tasks.exam import OPEN_PROMPTS, PER_SKILL, exam, exam_text, main
from dllm.training.tasks.task import Question

SHIPPED = SUITES / "tasks.json"


def test_the_shipped_suite_is_what_its_seed_gives() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == exam_text(exam(2, PER_SKILL))


def test_the_shipped_suite_is_large_enough_and_asks_nothing_twice() -> None:
    suite = Suite.load("tasks")
    assert suite.name == "tasks"
    assert len(suite.checked) >= 320
    assert len(suite.open) == 60
    assert len({item.prompt for item in suite.items}) == len(suite.items)
    assert Counter(item.kind for item in suite.checked) == dict.fromkeys(SKILLS, PER_SKILL)


def test_the_two_suites_share_no_prompt() -> None:
    assert not {item.prompt for item in Suite.load("tasks").items} & {
        item.prompt for item in Suite.load("default").items
    }


def could_be(question: Question, prompt: str, *, held_out: bool) -> bool:
    """Whether a wording of one side begins and ends as a prompt does; what stands in its fields may be anything."""
    return any(
        prompt.startswith(wording.split("{")[0]) and prompt.endswith(wording.split("}")[-1])
        for wording in question.worded(held_out)
    )


def test_every_prompt_has_a_held_out_wording() -> None:
    for item in Suite.load("tasks").checked:
        assert any(could_be(question, item.prompt, held_out=True) for question in SKILLS[item.kind].questions), item


def drawable(template: str) -> re.Pattern[str]:
    """What a training topic's template can become."""
    words = {name: "|".join(map(re.escape, choices)) for name, choices in topics.WORDS.items()}
    parts = re.split(r"{(\w+)}", template)  # what stands between the fields, and in turn their names
    filled = (f"(?:{words.get(part, '[0-9]+')})" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    return re.compile("".join(filled))


def test_no_prompt_is_a_training_topic() -> None:
    patterns = [drawable(template) for template in topics.TEMPLATES]
    assert drawable("What is {a} + {b}?").fullmatch("What is 3 + 12?")
    for item in Suite.load("tasks").items:
        assert not any(pattern.fullmatch(item.prompt) for pattern in patterns), item


def test_no_held_out_wording_is_one_of_the_training_topics() -> None:
    def bare(wording: str) -> str:
        return re.sub(r"{[^}]*}", "{}", wording)

    held_out = {bare(text) for skill in SKILLS.values() for q in skill.questions for text in q.worded(True)}
    assert not held_out & {bare(template) for template in topics.TEMPLATES}


def test_the_same_seed_gives_the_same_suite_and_another_another() -> None:
    assert exam(5, 2, 10) == exam(5, 2, 10)
    assert exam(5, 2, 10) != exam(6, 2, 10)
    assert len(exam(5, 2, 10)["items"]) == 2 * len(SKILLS) + 10


def test_open_prompts_ask_for_every_kind_of_writing_before_a_topic_comes_again() -> None:
    prompts = [item["prompt"] for item in exam(0, 1, 60)["items"] if item["kind"] == "open"]
    for topic in (topic for kind in OPEN_PROMPTS.values() for topic in kind["topics"]):
        assert sum(topic in prompt for prompt in prompts) == 1


@pytest.mark.parametrize(
    ("per_skill", "open_count", "message"),
    [
        (0, 60, "per_skill is 0; allowed: 1 or more"),
        (1, -1, "open_count is -1; allowed: 0 to 240"),
        (1, 241, "open_count is 241; allowed: 0 to 240"),
        (10_000, 0, "per_skill is 10000; allowed for capitals: 1 to "),
    ],
)
def test_impossible_numbers_are_refused(per_skill: int, open_count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exam(0, per_skill, open_count)


def test_the_command_writes_a_suite(tmp_path: Path) -> None:
    out = tmp_path / "small.json"
    assert main(["--seed", "3", "--out", str(out), "--per-skill", "1", "--open", "2"]) == 0
    assert json.loads(out.read_text(encoding="utf-8")) == exam(3, 1, 2)
    assert len(Suite.load(out).open) == 2


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "--out", str(tmp_path / "no" / "such.json")]) == 1
    assert "such.json" in capsys.readouterr().err
