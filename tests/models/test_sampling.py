"""Proposals: greedy and sampled, within a nucleus, never the mask."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm.models.sampling import Sampler, nucleus

ROWS = st.lists(st.lists(st.floats(-6, 6, width=32), min_size=5, max_size=5), min_size=1, max_size=4)


@given(rows=ROWS, top_p=st.floats(0.01, 0.99))
def test_nucleus_is_its_definition(rows: list[list[float]], top_p: float) -> None:
    probs = torch.tensor(rows, dtype=torch.float64).softmax(-1)
    kept = nucleus(probs, top_p)
    for before, after in zip(probs, kept, strict=True):
        for i, p in enumerate(before):
            ahead = sum(q for j, q in enumerate(before) if q > p or (q == p and j < i))
            if abs(ahead - top_p) > 1e-9:
                assert (after[i] > 0) == (ahead <= top_p)
        assert after.sum().item() == pytest.approx(1)


@given(rows=ROWS, top_p=st.none() | st.floats(0.01, 1), mask=st.integers(0, 4))
def test_greedy_takes_the_best_but_the_mask(rows: list[list[float]], top_p: float | None, mask: int) -> None:
    logits = torch.tensor(rows)
    proposal = Sampler(mask, top_p=top_p)(logits)
    others = logits.clone()
    others[:, mask] = -torch.inf
    best = others.gather(-1, proposal.tokens.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(best, others.amax(-1), rtol=0, atol=1e-5)  # closer logits have equal probabilities
    plain = logits.softmax(-1).gather(-1, proposal.tokens.unsqueeze(-1)).squeeze(-1)
    if top_p is None:
        torch.testing.assert_close(proposal.confidence, plain)  # the mask's share is doubt
    else:
        assert (proposal.confidence >= plain - 1e-6).all()
        assert (proposal.confidence > 0).all()


@given(rows=ROWS, seed=st.integers(0, 99), top_p=st.none() | st.just(0.5), mask=st.integers(0, 4))
def test_sampling_draws_from_what_is_left(rows: list[list[float]], seed: int, top_p: float | None, mask: int) -> None:
    sampler = Sampler(mask, temperature=0.7, top_p=top_p, seed=seed)
    logits = torch.tensor(rows)
    draws = [sampler(logits, sampler.generator(logits.device)).tokens.tolist() for _ in range(2)]
    assert draws[0] == draws[1]
    assert mask not in draws[0]


def test_sampled_tokens_have_their_probabilities() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, 5.0]]).expand(20_000, 4)
    sampler = Sampler(3, temperature=0.5, seed=1)
    drawn = sampler(logits, sampler.generator(logits.device)).tokens
    want = (logits[0, :3] / 0.5).softmax(-1)
    torch.testing.assert_close(drawn.bincount(minlength=4)[:3] / 20_000, want, rtol=0, atol=0.01)


def test_margin_and_entropy() -> None:
    probs = torch.tensor([[0.1, 0.5, 0.4], [0.2, 0.2, 0.6]])
    proposal = Sampler(None, margin=True, entropy=True)(probs.log())
    assert proposal.margin is not None
    assert proposal.entropy is not None
    torch.testing.assert_close(proposal.margin, torch.tensor([0.1, 0.4]), rtol=0, atol=1e-6)
    torch.testing.assert_close(proposal.entropy, -(probs * probs.log()).sum(-1), rtol=0, atol=1e-5)


def test_alternatives_are_the_networks_own() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0, 9.0]])
    (row,) = Sampler(3, temperature=2.0, top_p=0.1).alternatives(logits, 9)
    assert [i for i, _ in row] == [1, 2, 0, 3]
    assert row[0][1] == pytest.approx(logits.softmax(-1)[0, 1].item())
    assert row[-1][1] == 0
