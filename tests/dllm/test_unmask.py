"""Unmasking rules against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.settings import SettingsError
from dllm.unmask import UNMASKS, Candidates, CertaintyPrior, EntropyBound, Factor, Threshold, TopK, certainty_density

SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.89, 0.9, 0.91, 0.99, 1.0]), min_size=1, max_size=12)


def candidates(scores: list[float], entropy: list[float] | None = None) -> Candidates:
    known = np.zeros(len(scores) + 4, dtype=bool)
    known[:2] = True
    at = np.arange(len(scores)) + 2
    return Candidates(np.array(scores), None if entropy is None else np.array(entropy), known, at)


@given(scores=SCORES)
def test_every_rule_commits_at_least_the_best_and_none_twice(scores: list[float]) -> None:
    for name, rule in UNMASKS.items():
        if name == "verify":  # it has a decoder of its own
            continue
        chosen = rule()(candidates(scores, [1.0] * len(scores))).tolist()
        assert chosen, name
        assert len(set(chosen)) == len(chosen)
        if name != "certainty_prior":
            assert chosen[0] == scores.index(max(scores))  # ties: the lower position


@given(scores=SCORES, threshold=st.sampled_from([0.0, 0.5, 0.9, 1.0]), k=st.integers(1, 4))
def test_threshold_is_strict_and_never_fewer_than_k(scores: list[float], threshold: float, k: int) -> None:
    chosen = set(Threshold(threshold, k)(candidates(scores)).tolist())
    above = {i for i, s in enumerate(scores) if s > threshold}
    assert above <= chosen
    assert len(chosen) == max(len(above), min(k, len(scores)))


@given(scores=SCORES, k=st.integers(1, 20))
def test_top_k_takes_the_best(scores: list[float], k: int) -> None:
    chosen = TopK(k)(candidates(scores))
    assert sorted((scores[i] for i in chosen), reverse=True) == sorted(scores, reverse=True)[:k]


@given(scores=SCORES, factor=st.sampled_from([0.0, 0.3, 1.0, 3.0]))
def test_factor_is_the_longest_prefix_under_its_bound(scores: list[float], factor: float) -> None:
    ordered = sorted(scores, reverse=True)
    n = 0
    while n < len(ordered) and (n + 2) * (1 - ordered[n]) < factor:
        n += 1
    assert len(Factor(factor)(candidates(scores))) == max(1, n)


@given(scores=SCORES, gamma=st.sampled_from([0.0, 0.5, 1.5]), data=st.data())
def test_entropy_bound_leaves_the_largest_out(scores: list[float], gamma: float, data: st.DataObject) -> None:
    entropy = data.draw(st.lists(st.sampled_from([0.0, 0.2, 0.7, 2.0]), min_size=len(scores), max_size=len(scores)))
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    n = 1
    while n < len(order):
        taken = [entropy[i] for i in order[: n + 1]]
        if sum(taken) - max(taken) > gamma:
            break
        n += 1
    assert EntropyBound(gamma)(candidates(scores, entropy)).tolist() == order[:n]


@given(scores=SCORES)
def test_certainty_prior_weighs_by_density(scores: list[float]) -> None:
    c = candidates(scores)
    weighed = c.score * certainty_density(c.known, 2.0)[c.offsets]
    assert CertaintyPrior(2.0)(c).tolist() == [int(weighed.argmax())]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("threshold", {"threshold": float("nan")}, "threshold is nan"),
        ("threshold", {"k": 0}, "k is 0; allowed: 1 to 4096"),
        ("top_k", {"k": 1.5}, "k is 1.5; allowed: an integer"),
        ("top_k", {"k": True}, "k is True; allowed: an integer"),
        ("factor", {"factor": "1"}, "factor is '1'; allowed: a number"),
        ("certainty_prior", {"score": "luck"}, "score is 'luck'; allowed: confidence, margin, entropy"),
    ],
)
def test_bad_options_are_named(name: str, options: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        UNMASKS[name](**options)
