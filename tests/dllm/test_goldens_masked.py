"""Equality with d²Cache's published code for LLaDA and Dream: tokens, recomputed positions, rollout, forward."""

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dllm.models.rollout import rollout_influence
from dllm.models.transformer import rope_table
from dllm.settings import Choice, Settings
from dllm.unmask import certainty_density
from tests.dllm.nets import rollout_matrix
from tests.goldens_io import GOLDENS, engine, golden

SCORES = {"entropy": "entropy", "topk_margin": "margin"}
# The published EB-sampler takes the running maximum over the batch instead of the sequence; ours does not.
THEIR_BUGS = {("llada", "eb_sampler_block8_g2")}
RUNS = [
    pytest.param(family, run, id=f"{family}-{run['name']}")
    for family, runs in golden("masked_diffusion").items()
    for run in runs
    if (family, run["name"]) not in THEIR_BUGS
]


def settings_of(run: dict[str, Any]) -> Settings:
    """The recorded options in our words."""
    gen, cache = run["gen"], run["cache"]
    k, score = gen.get("num_transfer_tokens", 1), SCORES.get(gen.get("alg"), "confidence")
    if gen.get("sigma"):
        unmask = Choice("certainty_prior", {"sigma": gen["sigma"], "k": k, "score": score})
    elif "threshold" in gen:
        unmask = Choice("threshold", {"threshold": gen["threshold"], "k": k, "score": score})
    elif "factor" in gen:
        unmask = Choice("factor", {"factor": gen["factor"]})
    elif "gamma" in gen:
        unmask = Choice("entropy_bound", {"gamma": gen["gamma"]})
    else:
        unmask = Choice("top_k", {"k": k, "score": score})
    if cache is None:
        policy = Choice("none")
    elif cache["cls"] == "RecD2":
        names = {"k": "current_k", "p": "rollout_p", "sigma": "sigma", "inflate": "inflate_w"}
        policy = Choice("d2", {ours: cache[theirs] for ours, theirs in names.items()})
    else:
        policy = Choice("dual" if cache["use_dual"] else "prefix")
    return Settings(
        gen_length=gen["gen_length"],
        block_size=gen["block_length"],
        cache=policy,
        unmask=unmask,
        top_p=gen.get("top_p"),
        stop_ids=(gen["eos_token_id"],) if gen.get("stop_until_eos") else (),
        record=("rollout",),
    )


@pytest.mark.parametrize(("family", "run"), RUNS)
def test_every_published_run(family: str, run: dict[str, Any]) -> None:
    ours = engine(family).run(run["prompt"], settings_of(run))
    start, whole = len(run["prompt"]), list(range(len(run["prompt"]) + run["gen"]["gen_length"]))
    for step in ours:
        theirs = run["steps"][step.index]
        assert list(step.plan.queries) == (theirs["recomputed"] or whole), f"step {step.index}"
        committed = [p - start for p in step.committed]
        if committed != sorted(theirs["transferred"]) and theirs["confidence"] is not None:
            # a nucleus of one token has confidence 1: among equals theirs takes any, ours the first
            sure = theirs["confidence"]
            assert [sure[p] for p in committed] == [sure[p] for p in theirs["transferred"]]
            assert committed[0] < theirs["transferred"][0]
            return
        assert committed == sorted(theirs["transferred"]), f"step {step.index}"
        if "rollout" in theirs:
            np.testing.assert_allclose(step.readout.rollout, theirs["rollout"], rtol=0, atol=1e-5)
    output = ours.canvas.output
    assert output == run["output"][: len(output)]
    assert len(ours.records) == len(run["steps"])


@pytest.mark.parametrize("family", ["llada", "dream"])
def test_forward_logits_and_attention(family: str) -> None:
    want = load_file(GOLDENS / family / "forward.safetensors")
    model = engine(family).model
    ids = want["input_ids"]
    maps: list[torch.Tensor] = []
    rope = rope_table(model.net.shape, ids.shape[1], torch.device("cpu"))
    torch.testing.assert_close(model.net.head(model.net(ids, rope)), want["logits"], rtol=0, atol=1e-4)
    model.net(ids, rope, observe=lambda _, probs: maps.append(probs))
    torch.testing.assert_close(torch.stack(maps), want["attentions"], rtol=0, atol=2e-5)


def test_certainty_density() -> None:
    for case in golden("certainty_density"):
        known = np.array(case["known"], dtype=bool)
        np.testing.assert_allclose(certainty_density(known, case["sigma"]), case["density"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.1, 0.7, 3.0, 10.0, 100.0, 1000.0])
def test_certainty_density_is_its_definition(sigma: float) -> None:
    generator = np.random.default_rng(0)
    for length in (1, 2, 7, 16, 100, 300):
        known = generator.random(length) < 0.4
        wide = np.concatenate([np.ones(length), known, np.full(length, known[-1])])
        phi = lambda d: np.exp(-np.square(d) / (2 * sigma**2))  # noqa: E731
        apart = np.arange(length)[:, None] - np.arange(-length, 2 * length)  # i - j
        naive = (phi(apart) * wide).sum(1) / phi(np.arange(-3 * length, 3 * length)).sum()
        np.testing.assert_allclose(certainty_density(known, sigma), naive, rtol=0, atol=1e-12)


def test_influence_is_the_column_sum_of_the_rollout() -> None:
    torch.manual_seed(0)
    queries = torch.tensor([1, 4, 5])
    maps = [torch.rand(3, 9).softmax(-1) for _ in range(5)]
    matrix = rollout_matrix(maps, queries)
    torch.testing.assert_close(matrix.sum(1), torch.ones(9))
    torch.testing.assert_close(rollout_influence(maps, queries), matrix.sum(0))


def test_rollout_by_hand() -> None:
    """Two layers, two positions, both computed: W1 = [[.75, .25], [.5, .5]], W2 = [[.5, .5], [.25, .75]]."""
    maps = [torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.5, 0.5]])]
    want = torch.tensor([[0.625, 0.375], [0.5625, 0.4375]])
    torch.testing.assert_close(rollout_matrix(maps, slice(0, 2)), want)
    torch.testing.assert_close(rollout_influence(maps, slice(0, 2)), want.sum(0))
