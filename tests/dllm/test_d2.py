"""d²Cache's choice of positions, held step by step to its definition, above all where a stop token was written."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dllm.engine.run import Run
from dllm.models.families import DREAM, LLADA, ModelSpec
from dllm.settings import Choice, Settings
from dllm.step import Step
from tests.dllm.nets import VOCAB, engine_of, prompts


class Naive:
    """The definition (arXiv 2509.23094, Eq. 3, 4 and 9), with loops over positions."""

    def __init__(self, run: Run, k: int, p: float, sigma: float, stop_ids: tuple[int, ...]) -> None:
        self.k, self.p, self.sigma, self.stop_ids = k, p, sigma, stop_ids
        self.start, self.length, self.shift = len(run.prompt), run.canvas.length, run.canvas.shift
        self.block_size = run.settings.block_size
        self.masked = set(range(self.start, self.length))
        self.confidence = dict.fromkeys(range(self.start, self.length), 0.0)
        self.stop = self.length

    def likely(self, block: tuple[int, int]) -> list[int]:
        """M*: the most certain masks that may still be written, of the blocks that hold the first k of them."""
        allowed = [p for p in sorted(self.masked) if p < self.stop]
        if not allowed:
            return []
        kth = allowed[min(self.k, len(allowed)) - 1]
        end = self.start + ((kth - self.start) // self.block_size + 1) * self.block_size
        score = {p: self.confidence[p] * self.density(p) for p in allowed if p < end}
        return sorted(score, key=lambda p: (not block[0] <= p < block[1], -score[p], p))[: self.k]

    def density(self, at: int) -> float:
        """Eq. 3: a prompt as long as the answer on the left, the last position's state repeated on the right."""
        size = self.length - self.start
        phi = lambda d: np.exp(-(d**2) / (2 * self.sigma**2))  # noqa: E731
        wide, last = range(self.start - size, self.length + size), self.length - 1
        near = sum(phi(at - p) for p in wide if min(p, last) not in self.masked)
        return near / sum(phi(d) for d in range(-3 * size, 3 * size))

    def influential(self, rollout: list[float], chosen: set[int]) -> set[int]:
        """U: the most influential of the others, together at most a share p; at least one."""
        rest = sorted(set(range(self.length)) - chosen, key=lambda q: (-rollout[q], q))
        total, so_far, found = sum(rollout[q] for q in rest), 0.0, set(rest[:1])
        for q in rest:
            so_far += rollout[q]
            if so_far / (total + 1e-9) > self.p:
                break
            found.add(q)
        return found

    def follow(self, step: Step) -> tuple[set[int], list[int]]:
        """What the next step recomputes, and the masks that M* holds."""
        for p, token, sure in zip(step.readout.positions, step.readout.tokens, step.readout.confidence, strict=True):
            self.confidence[p] = sure
            if p in step.committed:
                self.masked.remove(p)
                self.stop = min(self.stop, p) if token in self.stop_ids else self.stop
        likely = self.likely(step.block)
        density = {p - self.shift for p in likely}
        first = {self.start - 1} if self.shift else set()  # belongs to M* or to nothing
        influential = self.influential(list(step.readout.rollout or ()), (density - first) | set(step.committed))
        return density | set(step.committed) | influential - first, likely


@pytest.mark.parametrize("spec", [LLADA, DREAM], ids=lambda spec: spec.name)
@given(
    prompt=prompts(),
    seed=st.integers(0, 4),
    k=st.integers(4, 32),
    block=st.sampled_from([4, 8, 32]),
    length=st.integers(24, 48),
    stops=st.integers(1, 20),
    commit=st.integers(1, 4),
)
@example(prompt=[1, 2, 3], seed=0, k=4, block=32, length=48, stops=12, commit=1)
@settings(max_examples=30)
def test_d2_with_stop_tokens_is_its_definition(
    spec: ModelSpec, prompt: list[int], seed: int, k: int, block: int, length: int, stops: int, commit: int
) -> None:
    """Many ids end an answer, so that stop tokens stand before, in and behind what is written."""
    stop_ids, options = tuple(range(stops)), {"k": k, "p": 0.1, "sigma": 10.0}
    run = engine_of(spec, seed).run(
        prompt,
        Settings(
            gen_length=length,
            block_size=block,
            cache=Choice("d2", options),
            unmask=Choice("top_k", {"k": commit}),
            stop_ids=stop_ids,
        ),
    )
    naive, expected = Naive(run, k, 0.1, 10.0, stop_ids), set(range(run.canvas.length))
    for step in run:
        assert set(step.plan.queries) == expected, f"step {step.index}"
        expected, likely = naive.follow(step)
        assert all(p < naive.stop for p in likely)
        assert run.canvas.stop_reason or likely
    assert run.canvas.stop_reason


@pytest.mark.parametrize("spec", [LLADA, DREAM], ids=lambda spec: spec.name)
@pytest.mark.parametrize("k", [1, 4, 8, 16, 32])
def test_no_pick_is_spent_behind_a_stop_token(spec: ModelSpec, k: int) -> None:
    """A readout that mostly ends: half of the vocabulary are stop tokens."""
    ended = 0
    for seed in range(6):
        cache = Choice("d2", {"k": k})
        chosen = Settings(gen_length=64, block_size=32, cache=cache, stop_ids=tuple(range(0, VOCAB - 2, 2)))
        run = engine_of(spec, seed).run([seed, 5, 7], chosen)
        for step in run:
            stop = run.canvas.stop_at
            picks = (run.decoder.policy.reasons or {})["density"]  # type: ignore[union-attr]
            assert stop is None or all(p + run.canvas.shift < stop for p in picks)
            assert step.committed
        ended += run.canvas.stop_reason == "eos"
    assert ended
