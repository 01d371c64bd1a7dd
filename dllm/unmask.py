"""Unmasking rules: which of the proposed tokens are committed in this step.

Each is a frozen dataclass whose fields become controls, called with the candidates; it returns indices into them, at
least one. The best candidate goes first and ties go to the lower position.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dllm.settings import SCORES, check_knobs, knob


@dataclass(frozen=True, slots=True)
class Candidates:
    """Masked positions that may be committed, ascending.

    score: higher is surer (n,). entropy: nats (n,), where the rule needs it. known: which generated positions are
    decided, bool (G,); offsets: the candidates' places in it (n,).
    """

    score: np.ndarray
    entropy: np.ndarray | None
    known: np.ndarray
    offsets: np.ndarray


def _score() -> Any:
    return knob("confidence", "Score", "Probability, lead over the second token, or 1/perplexity.", choices=SCORES)


def _k() -> Any:
    return knob(1, "At least", "Commit never fewer than this many tokens a step.", bounds=(1, 4096, 1))


def certainty_density(known: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian-weighted share of decided positions around each generated position (arXiv 2509.23094, Eq. 3).

    known: bool (G,), the generated positions only. The prompt counts as G decided positions on the left; the state
    of the last position is repeated G times on the right. D(i) = Σ_j φ(i-j) m_j / Σ_d φ(d), φ(d) = exp(-d²/2σ²),
    so 0 ≤ D ≤ 1: the normalised form of the paper's sum, as its published code uses it. Returns float64 (G,).
    """
    length = len(known)
    reach = min(math.ceil(9 * sigma), 2 * length - 1)  # 2G-1 is the largest distance; beyond 9σ lies less than 1e-18
    side = min(reach, length)
    wide = np.concatenate([np.ones(side), known, np.full(side, known[-1])])
    near = _gaussian(-reach, reach + 1, sigma)
    total = _gaussian(-3 * length, 3 * length, sigma).sum()
    return np.convolve(wide, near)[side + reach : side + reach + length] / total


def _gaussian(start: int, stop: int, sigma: float) -> np.ndarray:
    return np.exp(-np.square(np.arange(start, stop) / sigma) / 2)


def best(score: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k highest scores, best first, ties to the lower index."""
    return np.argsort(-score, kind="stable")[:k]


class _Rule:
    """What the rules share: fields are checked against their own metadata."""

    __slots__ = ()

    def __post_init__(self) -> None:
        check_knobs(self)


@dataclass(frozen=True, slots=True)
class Threshold(_Rule):
    """Every score above the threshold (strictly), and never fewer than the best k (Fast-dLLM, arXiv 2505.22618)."""

    threshold: float = knob(0.9, "Threshold", "Commit every token scored above this.", bounds=(0.0, 1.0, 0.01))
    k: int = _k()
    score: str = _score()

    def __call__(self, candidates: Candidates) -> np.ndarray:
        above = int((candidates.score > self.threshold).sum())
        return best(candidates.score, max(above, self.k))


@dataclass(frozen=True, slots=True)
class TopK(_Rule):
    """The best k of a step."""

    k: int = knob(1, "Tokens per step", "Commit this many tokens a step.", bounds=(1, 4096, 1))
    score: str = _score()

    def __call__(self, candidates: Candidates) -> np.ndarray:
        return best(candidates.score, self.k)


@dataclass(frozen=True, slots=True)
class Factor(_Rule):
    """The longest sorted prefix with (n + 1)(1 - c_n) < factor throughout (Fast-dLLM, arXiv 2505.22618, Thm. 1)."""

    factor: float = knob(1.0, "Factor", "Joint doubt allowed; larger commits more.", bounds=(0.0, 64.0, 0.05))
    score: str = _score()

    def __call__(self, candidates: Candidates) -> np.ndarray:
        order = best(candidates.score, len(candidates.score))
        n = np.arange(1, len(order) + 1)
        doubtful = (n + 1) * (1 - candidates.score[order]) >= self.factor
        return order[: max(1, int(doubtful.argmax()) if doubtful.any() else len(order))]


@dataclass(frozen=True, slots=True)
class EntropyBound(_Rule):
    """The longest sorted prefix whose entropies, the largest left out, sum to at most γ (EB-Sampler, 2505.24857)."""

    gamma: float = knob(0.1, "γ", "Nats of joint entropy a step may leave open.", bounds=(0.0, 100.0, 0.01))
    score: str = _score()

    def __call__(self, candidates: Candidates) -> np.ndarray:
        assert candidates.entropy is not None
        order = best(candidates.score, len(candidates.score))
        entropy = candidates.entropy[order]
        over = np.cumsum(entropy) - np.maximum.accumulate(entropy) > self.gamma
        return order[: int(over.argmax()) if over.any() else len(order)]


@dataclass(frozen=True, slots=True)
class CertaintyPrior(_Rule):
    """The best k by score × certainty density (d²Cache, arXiv 2509.23094, Eq. 4)."""

    sigma: float = knob(
        10.0, "σ", "Reach of a decided token; small is nearly left to right.", bounds=(0.1, 1000.0, 0.1)
    )
    k: int = knob(1, "Tokens per step", "Commit this many tokens a step.", bounds=(1, 4096, 1))
    score: str = _score()

    def __call__(self, candidates: Candidates) -> np.ndarray:
        density = certainty_density(candidates.known, self.sigma)
        return best(candidates.score * density[candidates.offsets], self.k)


@dataclass(frozen=True, slots=True)
class Verify(_Rule):
    """Guesses are tested against the model's own AR answer, and kept where it says the same; see `dllm.verify`.

    A draft, or a group of masks for a case of what may turn out right, is left out where its chance is below `least`.
    """

    drafts: int = knob(2, "Drafts", "Guesses tested in a pass.", bounds=(1, 8, 1))
    least: float = knob(
        0.1, "Least chance", "Leave out what is less likely to be needed than this.", bounds=(0.0, 1.0, 0.01)
    )


Unmask = Threshold | TopK | Factor | EntropyBound | CertaintyPrior

UNMASKS: dict[str, type[Unmask] | type[Verify]] = {
    "threshold": Threshold,
    "top_k": TopK,
    "factor": Factor,
    "entropy_bound": EntropyBound,
    "certainty_prior": CertaintyPrior,
    "verify": Verify,
}
