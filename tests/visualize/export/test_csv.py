import csv
import io
import re

import pytest
from hypothesis import given, settings

from dllm.models.families import DREAM, ModelSpec
from dllm.trace.throughput import throughput
from dllm.trace.validate import REASONS
from tests.dllm.nets import prompts
from tests.dllm.traces import canvas_at, decoded, every_way, made
from tests.visualize.records import step
from tests.visualize.runs import verified
from visualize.export.csv import steps_csv


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@every_way
@given(prompt=prompts())
@settings(max_examples=5)
def test_the_lines_add_up_to_the_numbers(spec: ModelSpec, cache: str, prompt: list[int]) -> None:
    trace = decoded(spec, cache, prompt)
    lines, whole = table(steps_csv(trace)), throughput(trace)
    assert [line["step"] for line in lines] == [str(n) for n in range(1, whole.nfe + 1)]
    assert sum(float(line["seconds"]) for line in lines) == pytest.approx(whole.seconds)
    queries, visible = (sum(int(line[name]) for line in lines) for name in ("queries", "visible"))
    assert queries / visible == pytest.approx(whole.recomputed)
    assert sum(int(line["reused"]) for line in lines) == visible - queries
    for line, record in zip(lines, trace.steps, strict=True):
        standing = [token for token in canvas_at(trace, record.index)[len(prompt) :] if token is not None]
        assert int(line["written"]) == len(standing)
        assert line["kind"] == record.kind
        for name in ("block", "window"):
            assert (int(line[f"{name}_start"]), int(line[f"{name}_end"])) == getattr(record, name)
        assert (int(line["asked"]), int(line["committed"])) == (len(record.positions), len(record.committed))
        assert (int(line["flops"]), int(line["bytes"])) == (record.flops, record.bytes)


def test_confidence_is_that_of_the_committed_tokens() -> None:
    trace = made(step(0, {4: 9, 6: 9}, confidence=[0.5, 0.1, 0.25, 1.0]), step(1, {}))
    first, second = table(steps_csv(trace))
    assert (first["confidence_mean_committed"], first["confidence_min_committed"]) == ("0.375", "0.25")
    assert (second["confidence_mean_committed"], second["confidence_min_committed"]) == ("", "")


def test_a_remasked_token_is_no_longer_written() -> None:
    lines = table(steps_csv(made(step(0, {4: 9, 5: 9}), step(1, {6: 9}, remasked=[4]))))
    assert [(line["written"], line["remasked"]) for line in lines] == [("2", "0"), ("2", "1")]


def test_drafts_are_counted_where_there_are_any() -> None:
    trace = verified()
    for record, line in zip(trace.steps, table(steps_csv(trace)), strict=True):
        assert int(line["tested"]) == len(record.tested or ())
        assert int(line["confirmed"]) == int(line["committed"]) - 1  # AR's own token comes after them
        assert int(line["confirmed"]) + int(line["remasked"]) == int(line["tested"])
        known = int(line["queries"]) - int(line["guesses"])
        assert known == sum(end - start for start, end in record.queries)
        assert 0 <= int(line["reused"]) == record.visible - known
    assert {table(steps_csv(made(step(0, {}))))[0][name] for name in ("tested", "confirmed", "guesses")} == {""}


def test_reasons_are_counted_where_they_were_recorded() -> None:
    for record, line in zip((trace := decoded(DREAM, "d2", [1, 2, 3])).steps, table(steps_csv(trace)), strict=True):
        counts = [len(record.reasons[name]) if name in (record.reasons or {}) else "" for name in REASONS]
        assert [line[f"reason_{name}"] for name in REASONS] == [str(count) for count in counts]


def test_no_cell_is_a_formula() -> None:
    text = steps_csv(decoded(DREAM, "d2", [1, 2, 3]))
    assert "\r" not in text
    assert text.endswith("\n")
    header, *lines = text.splitlines()
    assert re.fullmatch(r"[a-z_]+(,[a-z_]+)*", header)
    for line in lines:
        for cell in line.split(","):
            assert re.fullmatch(r"prefill|denoise|commit|ar|[0-9.e-]*", cell)
            assert not cell.startswith(("-", "=", "+", "@"))


def test_a_run_without_steps_has_a_header_only() -> None:
    assert steps_csv(made()).count("\n") == 1
