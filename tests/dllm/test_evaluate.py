"""An evaluation end to end on tiny nets, and the judge of answers against a plain softmax."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm.cli import main
from dllm.engine import SHIPPED, Engine
from dllm.evaluate import CHECKED_LENGTH, OPEN_LENGTH, document, evaluate, ways
from dllm.models.families import FAST_DLLM_V2, LLADA, LLAMA
from dllm.models.likelihood import log_probabilities
from dllm.models.transformer import rope_table
from dllm.report import SCHEMA, table
from dllm.settings import Settings
from dllm.suite import Item, Suite
from tests.dllm.nets import both_engine, engine_of, hybrid_engine, prompts

SUITE = Suite(
    name="small",
    items=(
        Item(id="a", kind="letter", prompt="a", check={"any": ("x",)}),
        Item(id="b", kind="letter", prompt="b", check={"any": ("y",)}),
        Item(id="c", kind="open", prompt="c"),
    ),
)


class Letters:
    """A tokenizer of one-letter pieces, enough to put prompts to a tiny net and to read its answers."""

    def chat(self, text: str) -> list[int]:
        return [ord(c) % 30 for c in text]

    def decode(self, ids: list[int]) -> str:
        return " ".join("xyz"[i % 3] for i in ids)

    def piece(self, token: int) -> str:
        return "xyz"[token % 3]


def engine(spec: Any) -> Engine:
    return with_letters(engine_of(spec))


def with_letters(made: Engine) -> Engine:
    made.tokenizer = Letters()  # type: ignore[assignment]
    object.__setattr__(made.model, "tokenizer", made.tokenizer)
    return made


@given(st.lists(st.tuples(prompts(high=6), prompts(low=0, high=6)), min_size=1, max_size=4))
def test_the_judge_by_definition(pairs: list[tuple[list[int], list[int]]]) -> None:
    net = engine_of(LLAMA).model.net
    got = log_probabilities(net, pairs)
    for (prompt, answer), logs in zip(pairs, got, strict=True):
        assert len(logs) == len(answer)
        for n, log in enumerate(logs):
            before = [*prompt, *answer[:n]]
            mask = torch.ones(len(before), len(before), dtype=torch.bool).tril()
            states = net(torch.tensor([before]), rope_table(net.shape, len(before), torch.device("cpu")), mask=mask)
            want = net.head(states)[0, -1].log_softmax(-1)[answer[n]]
            assert log == pytest.approx(want.item(), abs=1e-5)


def test_the_judge_needs_a_prompt() -> None:
    with pytest.raises(ValueError, match="a prompt is empty"):
        log_probabilities(engine_of(LLAMA).model.net, [([], [1])])


@pytest.mark.parametrize("spec", [FAST_DLLM_V2, LLADA, LLAMA])
def test_the_ways_suit_the_model(spec: Any) -> None:
    made = engine_of(spec)
    found = ways(made)
    assert ("AR" in found) == made.traits.causal
    assert (len(found) > 1) == (not made.autoregressive)
    for settings in found.values():
        made.run([1, 2, 3], settings)


def test_the_ways_of_a_model_with_an_adapter_at_its_masks() -> None:
    made = both_engine()
    found = ways(made)
    assert list(found)[:5] == [
        "AR",
        "verified, 1 draft",
        "verified, 2 drafts",
        "verified, 3 drafts",
        "verified, 4 drafts",
    ]
    attentions = {name: made.run([1, 2, 3], settings).settings.attention for name, settings in found.items()}
    assert {name for name, attention in attentions.items() if attention == "bidirectional"} == {
        name for name in found if name.startswith("full attention")
    }
    assert set(attentions.values()) == {"hybrid", "bidirectional"}


def test_verified_decoding_departs_nowhere() -> None:
    made = with_letters(hybrid_engine(echo=True))
    rows = list(evaluate(made, SUITE, only="verified"))
    assert [row.name for row in rows] == [
        "verified, 1 draft",
        "verified, 2 drafts",
        "verified, 3 drafts",
        "verified, 4 drafts",
    ]
    assert {row.same.value for row in rows} == {1.0}


def test_every_prompt_is_answered_in_every_way() -> None:
    made = engine(FAST_DLLM_V2)
    rows = list(evaluate(made, SUITE, only="8/8"))
    assert [row.name for row in rows] == [name for name in ways(made) if "8/8" in name]
    for row in rows:
        assert row.answers == 3
        assert row.kinds.keys() == {"letter"}
    exact = next(row for row in rows if row.name == "block 8/8, block cache, 1.0")
    run = {item.id: made.run(item.prompt, Settings.from_json({**exact.settings, "gen_length": n}))
           for item, n in zip(SUITE.items, (CHECKED_LENGTH, CHECKED_LENGTH, OPEN_LENGTH), strict=True)}  # fmt: skip
    for one in run.values():
        for _ in one:
            pass
    assert exact.tokens == sum(len(one.canvas.output) for one in run.values())
    assert exact.passes == sum(len(one.records) for one in run.values())
    right = [letter in run[key].text for key, letter in (("a", "x"), ("b", "y"))]
    assert exact.score is not None
    assert exact.score.value == sum(right) / 2
    data = json.loads(json.dumps(document(made, SUITE, rows)))
    assert data["suite"] == {"name": "small", "checked": 2, "open": 1}
    assert len(data["rows"]) == len(rows)


def test_ar_is_the_same_as_itself_and_full_attention_has_none() -> None:
    (row,) = evaluate(engine(LLAMA), SUITE)
    assert row.name == "AR"
    rows = list(evaluate(engine(LLADA), SUITE, only="0.5"))
    assert [row.name for row in rows] == ["full attention, d2 cache, 0.5"]
    assert (rows[0].same, rows[0].log_prob) == (None, None)


def test_the_shipped_numbers_are_of_the_shipped_suite_and_these_ways() -> None:
    data = json.loads((SHIPPED / "evaluation.json").read_text())
    suite = Suite.load("tasks")
    assert data["schema"] == SCHEMA
    assert data["suite"] == {"name": suite.name, "checked": len(suite.checked), "open": len(suite.open)}
    names = [row["name"] for row in data["rows"]]
    assert [name for name in ways(both_engine()) if name in names] == names
    card = (SHIPPED / "README.md").read_text()
    assert table(data["rows"]).split("\n\n")[0] in card


def test_a_limit_and_words_out_of_range_are_refused() -> None:
    made = engine(FAST_DLLM_V2)
    (row,) = evaluate(made, SUITE, only="AR", limit=1)
    assert row.answers == 2
    with pytest.raises(ValueError, match="only is 'nothing'; allowed: part of AR; block 32/8"):
        next(evaluate(made, SUITE, only="nothing"))
    with pytest.raises(ValueError, match="limit is 0"):
        next(evaluate(made, SUITE, limit=0))


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--suite", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err
    assert main(["evaluate", "--out", str(tmp_path / "none" / "out.json")]) == 2
    assert "allowed: a file in a folder that exists" in capsys.readouterr().err
    assert main(["evaluate", "--model", str(tmp_path), "--folder", "a"]) == 2
    assert "allowed: with model 'default'" in capsys.readouterr().err


def test_only_may_name_several_ways() -> None:
    made = with_letters(hybrid_engine(echo=True))
    rows = evaluate(made, SUITE, only="verified, 1 draft | 8/8, block cache, 0.9")
    assert [row.name for row in rows] == ["verified, 1 draft", "block 8/8, block cache, 0.9"]
