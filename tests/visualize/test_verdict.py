from visualize.tally import Tally
from visualize.verdict import verdict


def lane(tokens: int, passes: int, seconds: float) -> Tally:
    return Tally(tokens=tokens, passes=passes, computed=1, attended=1, seconds=seconds)


def test_it_says_plainly_when_ar_was_faster() -> None:
    said = verdict(lane(40, 20, 4.0), lane(40, 40, 2.0))
    assert said.startswith("AR was faster here: 20.0 tokens per second, 2.00 times block diffusion's 10.0.")
    assert "wrote 2.00 tokens on average and took 4.00 times as long as an AR pass, which wrote 1.00" in said


def test_it_says_when_diffusion_was_faster() -> None:
    said = verdict(lane(40, 20, 1.0), lane(30, 30, 1.5))
    assert said.startswith("Block diffusion was faster here: 40.0 tokens per second, 2.00 times AR's 20.0.")


def test_a_difference_too_small_to_show_is_none() -> None:
    assert verdict(lane(40, 20, 1.01), lane(40, 40, 1.0)).startswith("Equally fast here: 39.6")


def test_without_tokens_there_is_nothing_to_compare() -> None:
    assert verdict(lane(0, 1, 1.0), lane(4, 4, 1.0)) == ""
