import pytest

from tests.visualize.records import step
from visualize.tally import Counter, Tally


def test_totals_are_added_pass_by_pass() -> None:
    counter = Counter(4, 8, stop_ids=())
    assert counter.add(step(0, {})) == Tally(0, 1, 4, 8, 0.25)
    assert counter.add(step(1, {4: 9, 6: 9}, queries=[(4, 6)])) == Tally(2, 2, 6, 16, 0.5)


def test_the_ratios_are_what_the_page_says() -> None:
    tally = Tally(tokens=6, passes=4, computed=10, attended=40, seconds=1.5)
    assert (tally.tokens_per_second, tally.tokens_per_pass, tally.recomputed) == (4.0, 1.5, 0.25)
    assert (Tally().tokens_per_second, Tally().tokens_per_pass, Tally().recomputed) == (0, 0, 0)


def test_nothing_counts_beyond_the_first_stop_token_or_the_cap() -> None:
    counter = Counter(4, 8, stop_ids=[2])
    assert counter.add(step(0, {7: 9})).tokens == 1
    assert counter.add(step(1, {6: 2})).tokens == 1  # the stop token counts, what follows no longer does
    assert counter.add(step(2, {4: 2})).tokens == 1  # an earlier stop token takes over
    beyond = step(3, {9: 9}, asked={9: 9})
    assert Counter(4, 8, stop_ids=[]).add(beyond).tokens == 0


def test_a_remasked_token_no_longer_counts() -> None:
    counter = Counter(4, 8, stop_ids=())
    counter.add(step(0, {4: 9, 5: 9}))
    assert counter.add(step(1, {}, remasked=[5])).tokens == 1


@pytest.mark.parametrize("tokens", [[9, 9, 9, 9], [9, 2, 9, 9], [2, 9, 9, 9]])
def test_a_finished_lane_counts_its_output(tokens: list[int]) -> None:
    counter = Counter(4, 8, stop_ids=[2])
    tally = counter.add(step(0, dict(enumerate(tokens, start=4))))
    output = tokens[: tokens.index(2) + 1] if 2 in tokens else tokens
    assert tally.tokens == len(output)
