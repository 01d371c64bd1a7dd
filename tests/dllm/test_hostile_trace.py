import copy
import gzip
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm.metrics import ages, canvas_at, commit_distances, influences, numbers, states
from dllm.models.families import DREAM, FAST_DLLM_V2
from dllm.settings import Choice, Settings
from dllm.trace import MAX_BYTES, MAX_POSITIONS, MAX_TEXT, Trace, TraceError
from tests.dllm.nets import engine_of
from visualize.gif import gif
from visualize.steps import steps_csv

WAYS = ((FAST_DLLM_V2, "sub_block"), (DREAM, "d2"))
RECORD = ("alternatives", "rollout")
WRONG: list[Any] = [
    None, True, 0, -1, 1, 3, 0.5, 1e999, -1e999, float("nan"), 2**31, 2**63, 10**4000, 1e308, MAX_POSITIONS,
    "", "x", "5", "NaN", "\x00", "\u202e", "x" * (MAX_TEXT + 1), [], [[]], [0], [0, 0], [1, 0], [-1], [None],
    [[0, 1]], [[1, 0]], {}, {"": 0}, {"name": "dual"}, {"name": []}, {"0": "x"}, {"density": [0]},
]  # fmt: skip

Place = tuple[Any, Any]  # a dict or list, and a key in it


@cache
def whole(way: int) -> str:
    spec, policy = WAYS[way]
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
    assert numbers(trace).nfe == len(trace.steps) == steps_csv(trace).count("\n") - 1
    for picture in (states, ages, influences):
        assert len(picture(trace)) == len(trace.steps)
    assert len(commit_distances(trace)) == sum(len(step.committed) for step in trace.steps)
    assert gif(trace).startswith(b"GIF89a")
    return True


@given(way=st.integers(0, 1), mutate=st.sampled_from([drop, replace, nudge, double, swap]), data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_trace_with_one_fault_is_refused_or_can_be_drawn(way: int, mutate: Any, data: Any) -> None:
    trace = json.loads(whole(way))
    top = data.draw(st.sampled_from(list(trace)))  # or almost all faults would be in the steps
    inner = [(trace, top), *places(trace[top])]
    place = inner[data.draw(st.integers(0, len(inner) - 1))]
    mutate(place, data.draw)
    usable_or_refused(json.dumps(trace))


@pytest.mark.parametrize("way", [0, 1])
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
        gzip.compress(b"[" * (MAX_BYTES + 1)), gzip.compress(gzip.compress(b"{}")), gzip.compress(b""),
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
