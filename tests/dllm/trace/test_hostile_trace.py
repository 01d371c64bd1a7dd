import copy
import gzip
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm.models.families import DREAM, FAST_DLLM_V2
from dllm.settings import Choice, Settings
from dllm.trace import Trace, TraceError
from dllm.trace.metrics import ages, commit_distances, influences, states
from dllm.trace.schema import MAX_POSITIONS, MAX_TEXT, MAX_TRACE_BYTES
from dllm.trace.throughput import throughput
from tests.dllm.nets import engine_of, hybrid_engine
from tests.dllm.traces import canvas_at
from visualize.export.csv import steps_csv
from visualize.export.gif import gif

WAYS = ((FAST_DLLM_V2, "sub_block"), (DREAM, "d2"), (None, "verify"))
RECORD = ("alternatives", "rollout")
WRONG: list[Any] = [
    None, True, 0, -1, 1, 3, 0.5, 1e999, -1e999, float("nan"), 2**31, 2**63, 10**4000, 1e308, MAX_POSITIONS,
    "", "x", "5", "NaN", "\x00", "\u202e", "x" * (MAX_TEXT + 1), [], [[]], [0], [0, 0], [1, 0], [-1], [None],
    [[0, 1]], [[1, 0]], {}, {"": 0}, {"name": "dual"}, {"name": []}, {"0": "x"}, {"density": [0]},
]  # fmt: skip

Place = tuple[Any, Any]  # a dict or list, and a key in it


def packed(data: bytes) -> bytes:
    """By gzip, without the time: names of tests must be those of every process that collects them."""
    return gzip.compress(data, mtime=0)


@cache
def whole(way: int) -> str:
    spec, policy = WAYS[way]
    if spec is None:
        chosen = Settings(gen_length=9, unmask=Choice("verify", {"least": 0.0}), record=RECORD[:1], stop_ids=())
        run = hybrid_engine(4, echo=True).run([1, 2, 3], chosen)
    else:
        run = engine_of(spec).run([1, 2, 3], Settings(gen_length=9, block_size=4, cache=Choice(policy), record=RECORD))
    for _ in run:
        pass
    return json.dumps({**run.trace().as_dict(), "pieces": {str(i): f"t{i}" for i in range(40)}})


def places(value: Any) -> Iterator[Place]:
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


def drop(place: Place, draw: Any) -> None:
    del place[0][place[1]]


def replace(place: Place, draw: Any) -> None:
    place[0][place[1]] = draw(st.sampled_from(WRONG))


def nudge(place: Place, draw: Any) -> None:
    value = place[0][place[1]]
    place[0][place[1]] = value + draw(st.integers(-3, 3)) if isinstance(value, int | float) else [value]


def double(place: Place, draw: Any) -> None:
    holder, key = place
    if isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder[f"{key}2"] = holder[key]


def swap(place: Place, draw: Any) -> None:
    holder, key = place
    other = draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
    holder[key], holder[other] = holder[other], holder[key]


def read(raw: str | bytes) -> Trace | None:
    # None: it was refused, in a few words
    try:
        return Trace.from_json(raw)
    except TraceError as error:
        words = str(error)
    assert 0 < len(words) < 2000
    return None


def usable_or_refused(raw: str | bytes) -> bool:
    # whether it was read; whatever was read can be drawn
    if not (trace := read(raw)):
        return False
    assert Trace.from_json(trace.to_json()) == trace
    canvas = canvas_at(trace, len(trace.steps))
    start = len(trace.prompt)
    assert canvas[start : start + len(trace.output)] == trace.output
    assert throughput(trace).nfe == len(trace.steps) == steps_csv(trace).count("\n") - 1
    for picture in (states, ages, influences):
        assert len(picture(trace)) == len(trace.steps)
    assert len(commit_distances(trace)) == sum(len(step.committed) for step in trace.steps)
    assert gif(trace).startswith(b"GIF89a")
    return True


@given(way=st.integers(0, 2), mutate=st.sampled_from([drop, replace, nudge, double, swap]), data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_trace_with_one_fault_is_refused_or_can_be_drawn(way: int, mutate: Any, data: Any) -> None:
    trace = json.loads(whole(way))
    top = data.draw(st.sampled_from(list(trace)))  # or almost all faults would be in the steps
    inner = [(trace, top), *places(trace[top])]
    place = inner[data.draw(st.integers(0, len(inner) - 1))]
    mutate(place, data.draw)
    usable_or_refused(json.dumps(trace))


@pytest.mark.parametrize("way", [0, 1, 2])
@pytest.mark.parametrize("wrong", WRONG, ids=lambda value: repr(value)[:20])
def test_no_field_takes_down_the_reader(way: int, wrong: Any) -> None:
    for n in range(10**6):
        trace = json.loads(whole(way))
        inner = [place for key in trace if key not in ("steps", "pieces") for place in places(trace[key])]
        inner += [place for step in trace["steps"][:3] for place in places(step)]  # the others are alike
        fields = [*((trace, key) for key in trace), *(p for p in inner if isinstance(p[0], dict) or p[1] < 2)]
        if n == len(fields):
            return
        holder, key = fields[n]
        holder[key] = wrong
        read(json.dumps(trace))


def test_the_trace_itself_can_be_drawn() -> None:
    assert all(usable_or_refused(whole(way)) for way in range(len(WAYS)))


@given(
    st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda b: b"\x1f\x8b" + b), st.text(max_size=200))
)
@settings(max_examples=200)
def test_what_is_no_json_is_refused(raw: str | bytes) -> None:
    assert not usable_or_refused(raw)


@given(cut=st.integers(0, 2000), flipped=st.integers(0, 2000))
@settings(max_examples=50, deadline=None)
def test_broken_gzip_is_refused_or_read_as_it_was(cut: int, flipped: int) -> None:
    packed = bytearray(gzip.compress(whole(0).encode(), mtime=0))
    assert not usable_or_refused(bytes(packed[: cut % len(packed)]))
    packed[flipped % len(packed)] ^= 1
    assert read(bytes(packed)) in (None, read(whole(0)))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"null", b"0", b"[]", b"{}", b'"x"', b"\xef\xbb\xbf{}", b"\x00", b"{", b"[" * 10**6,
        b"[" * 10**6 + b"]" * 10**6, b'{"a":' * 10**5 + b"1" + b"}" * 10**5, b"1" * 10**6, b'"' + b"x" * 10**6 + b'"',
        "\ud800", '{"prompt": ["\\ud800"]}', b'{"' + b"k" * 10**6 + b'": 1}', b"{" + b'"":1,' * 10**5 + b'"":1}',
        ("{" + ",".join(f'"{i}":1' for i in range(10**5)) + "}").encode(), b'{"prompt":[' + b"-1," * 10**6 + b"-1]}",
        packed(b"[" * (MAX_TRACE_BYTES + 1)), packed(packed(b"{}")), packed(b""),
    ],
    ids=lambda raw: f"{len(raw)} {raw[:12]!r}",
)  # fmt: skip
def test_what_is_no_trace_is_refused_in_few_words(raw: str | bytes) -> None:
    assert not usable_or_refused(raw)


def test_deep_settings_are_refused() -> None:
    for depth in (1, 50, 150, 10**5):
        deep = '{"name":"d2","k":' + "[" * depth + "]" * depth + "}"
        data = json.loads(whole(1))
        data["settings"]["cache"] = "@"
        assert not usable_or_refused(json.dumps(data).replace('"@"', deep))


def test_of_a_key_given_twice_the_last_counts() -> None:
    text = whole(0)
    assert usable_or_refused('{"stop_reason": "bored", ' + text[1:])
    assert not usable_or_refused(text[:-1] + ', "stop_reason": "bored"}')


def test_many_pieces_and_long_lists_are_refused_before_they_are_many_objects() -> None:
    data = json.loads(whole(0))
    data["pieces"] = {str(i): "" for i in range(2**20 + 1)}
    assert not usable_or_refused(json.dumps(data))
    data["pieces"], data["prompt"] = {}, [0] * (MAX_POSITIONS + 1)
    assert not usable_or_refused(json.dumps(data))


def verified() -> dict[str, Any]:
    """A verified trace with drafts of both kinds: kept ones, and struck-out ones."""
    data = json.loads(whole(2))
    assert any(len(step["committed"]) > 1 for step in data["steps"])
    assert any(step["remasked"] for step in data["steps"])
    return data


def pick(data: dict[str, Any], wanted: Any) -> dict[str, Any]:
    return next(step for step in data["steps"] if wanted(step))


def another_draft(data: dict[str, Any]) -> None:
    step = pick(data, lambda step: step["tested"])
    step["tested"][0] = (step["tested"][0] + 1) % 30


def more_drafts_than_guessed(data: dict[str, Any]) -> None:
    step = data["steps"][0]
    step["tested"], step["remasked"] = [7], [3]
    for name, value in (("positions", 4), ("tokens", 1), ("confidence", 0.5), ("alternatives", [])):
        step[name].append(value)


def other_positions(data: dict[str, Any]) -> None:
    pick(data, lambda step: step["remasked"])["positions"][-1] += 1


def one_token_less(data: dict[str, Any]) -> None:
    pick(data, lambda step: len(step["committed"]) > 1)["committed"].pop()


def one_token_more(data: dict[str, Any]) -> None:
    step = pick(data, lambda step: step["remasked"])
    step["committed"] = step["positions"]
    del data["steps"][step["index"] + 1 :]


def a_draft_struck_out_that_was_right(data: dict[str, Any]) -> None:
    step = pick(data, lambda step: len(step["committed"]) > 1)
    step["remasked"] = step["positions"][:-1]


def a_draft_left_that_was_wrong(data: dict[str, Any]) -> None:
    pick(data, lambda step: step["remasked"])["remasked"] = []


def queries_elsewhere(data: dict[str, Any]) -> None:
    data["steps"][1]["queries"] = [[0, 1]]


def more_is_seen(data: dict[str, Any]) -> None:
    data["steps"][1]["visible"] += 1


def a_case_of_too_many(data: dict[str, Any]) -> None:
    data["steps"][0]["cases"][0]["right"] = 1


def a_case_twice(data: dict[str, Any]) -> None:
    cases = pick(data, lambda step: step["cases"])["cases"]
    cases.append(cases[-1])


def a_case_elsewhere(data: dict[str, Any]) -> None:
    data["steps"][0]["cases"][0]["position"] -= 1


def a_case_behind_the_canvas(data: dict[str, Any]) -> None:
    case = data["steps"][0]["cases"][0]
    case["tokens"], case["confidence"] = [1] * 9, [0.5] * 9


def a_case_of_no_word(data: dict[str, Any]) -> None:
    data["steps"][0]["cases"][0]["tokens"][-1] = 40


def no_drafts(data: dict[str, Any]) -> None:
    del data["steps"][0]["tested"], data["steps"][0]["cases"]


def another_rule(data: dict[str, Any]) -> None:
    data["settings"]["unmask"] = {"name": "threshold"}


def no_rule(data: dict[str, Any]) -> None:
    del data["settings"]["unmask"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (another_draft, r"steps\[\d\]\.tested is \[.*\]; allowed: the first of \["),
        (more_drafts_than_guessed, r"steps\[0\]\.tested is \[7\]; allowed: the first of \[\]"),
        (other_positions, r"steps\[\d\]\.positions is .*; allowed: those from \d+ to \d+"),
        (one_token_less, r"steps\[\d\]\.committed is .*; allowed: \["),
        (one_token_more, r"steps\[\d\]\.committed is .*; allowed: \["),
        (a_draft_struck_out_that_was_right, r"steps\[\d\]\.remasked is .*; allowed: \["),
        (a_draft_left_that_was_wrong, r"steps\[\d\]\.remasked is \[\]; allowed: \[\d"),
        (queries_elsewhere, r"steps\[1\]\.queries is \[\(0, 1\)\]; allowed: one run from before"),
        (more_is_seen, r"steps\[1\]\.queries is .*; allowed: one run from before"),
        (a_case_of_too_many, r"steps\[0\]\.cases\[0\]\.right is 1; allowed: each number of right drafts once"),
        (a_case_twice, r"steps\[\d\]\.cases\[\d\]\.right is \d; allowed: each number of right drafts once"),
        (a_case_elsewhere, r"steps\[0\]\.cases\[0\] guesses positions 3 to .*; allowed: from 4 on, up to 11"),
        (a_case_behind_the_canvas, r"steps\[0\]\.cases\[0\] guesses positions 4 to 12; allowed: from 4 on, up to 11"),
        (a_case_of_no_word, r"steps\[0\]\.cases\[0\] guesses token 40; allowed: ids below 40"),
        (
            no_drafts,
            r"steps\[0\] tests no drafts; allowed: drafts in every step where unmask is 'verify', else in none",
        ),
        (another_rule, r"steps\[0\] tests drafts; allowed: drafts in every step where unmask is 'verify'"),
        (no_rule, r"steps\[0\] tests drafts; allowed"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_verified_trace_is_what_its_tests_say(change: Any, message: str) -> None:
    data = verified()
    change(data)
    with pytest.raises(TraceError, match=message):
        Trace.from_json(json.dumps(data))


def test_drafts_in_another_trace_are_refused() -> None:
    data = json.loads(whole(0))
    for step in data["steps"]:
        step["tested"], step["cases"] = [0] * (len(step["positions"]) - 1), []
    with pytest.raises(TraceError, match=r"steps\[\d\] tests drafts|drafts for \d positions"):
        Trace.from_json(json.dumps(data))
