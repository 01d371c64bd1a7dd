"""What drafts would be worth, against decoding acted out token by token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.training.outlook import DRAFT_COUNTS, TRUST_THRESHOLDS, Guessed, outlook


@st.composite
def guessed(draw: st.DrawFn) -> Guessed:
    answer = draw(st.lists(st.integers(0, 1), min_size=1, max_size=12))
    rows = st.lists(st.integers(0, 1), min_size=4, max_size=4)
    sure = st.lists(st.sampled_from([0.4, 0.5, 0.6, 0.8, 0.95]), min_size=4, max_size=4)
    count = len(answer)
    return Guessed(
        tuple(answer),
        draw(st.lists(rows, min_size=count, max_size=count)),
        draw(st.lists(sure, min_size=count, max_size=count)),
    )


def act_verified(answer: Guessed, most: int) -> int:
    """Passes of the decoder: AR's token, and before it drafts that the pass before guessed for this case.

    What ends an answer is never drafted: a stop token is not, and neither is the last place of all.
    """
    text, drafts, passes = list(answer.answer), [], 0
    written: list[int] = []
    while len(written) < len(text):
        passes += 1
        for draft in drafts:
            if draft != text[len(written)]:
                break
            written.append(draft)
        place = len(written)  # where this pass's masks stood in the case that came true
        written.append(text[place])
        room = len(text) - 1 - len(written)
        drafts = list(answer.tokens[place][: max(0, min(most, room))])
    return passes


def act_trusting(answer: Guessed, threshold: float) -> tuple[int, int, int]:
    """Passes that keep every guess above a threshold, up to the first that is not."""
    passes = kept = wrong = place = 0
    while place < len(answer.answer):
        passes += 1
        guesses = list(zip(answer.tokens[place], answer.confidence[place], strict=True))
        place += 1
        for token, sure in guesses:
            if place == len(answer.answer) or sure <= threshold:
                break
            kept, wrong, place = kept + 1, wrong + (token != answer.answer[place]), place + 1
    return passes, kept, wrong


@given(guessed(), st.sampled_from(DRAFT_COUNTS))
def test_passes_of_verified_decoding(answer: Guessed, most: int) -> None:
    assert answer.passes(most) == act_verified(answer, most)


@given(guessed(), st.sampled_from(TRUST_THRESHOLDS))
def test_passes_of_trusting(answer: Guessed, threshold: float) -> None:
    assert answer.trusting(threshold) == act_trusting(answer, threshold)


@given(st.lists(guessed(), min_size=1, max_size=5).filter(lambda found: any(len(a.answer) > 1 for a in found)))
def test_the_summary_adds_them_up(answers: list[Guessed]) -> None:
    found = outlook(answers)
    tokens = sum(len(a.answer) for a in answers)
    assert found["tokens"] == tokens
    for depth, share in enumerate(found["accuracy"]):
        pairs = [
            (a.tokens[n][depth], a.answer[n + 1 + depth])
            for a in answers
            for n in range(len(a.answer))
            if n + 1 + depth < len(a.answer)
        ]
        assert share == pytest.approx(sum(x == y for x, y in pairs) / len(pairs), abs=1e-4)
    for most in map(int, found["verified"]):
        passes = sum(act_verified(a, most) for a in answers)
        assert found["verified"][str(most)] == pytest.approx(tokens / passes, abs=1e-4)
    for threshold in TRUST_THRESHOLDS:
        passes, kept, wrong = map(sum, zip(*(act_trusting(a, threshold) for a in answers), strict=True))
        told = found["trusting"][str(threshold)]
        assert (told["kept"], told["wrong"]) == (kept, wrong)
        assert told["tokens_a_pass"] == pytest.approx(tokens / passes, abs=1e-4)


def test_guesses_that_are_all_right_and_all_wrong() -> None:
    text = tuple(range(20))
    right = Guessed(text, [[n + 1, n + 2, n + 3, n + 4] for n in text], [[0.95] * 4] * 20)
    wrong = Guessed(text, [[99] * 4] * 20, [[0.95] * 4] * 20)
    assert [wrong.passes(n) for n in DRAFT_COUNTS] == [20] * 4
    assert [right.passes(n) for n in DRAFT_COUNTS] == [
        11,
        8,
        6,
        5,
    ]  # the first pass writes one
    assert right.trusting(0.9) == (4, 16, 0)
    assert wrong.trusting(0.9) == (4, 16, 16)
