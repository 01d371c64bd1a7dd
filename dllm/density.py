"""Certainty density: how much is already decided around each position (d²Cache, arXiv 2509.23094, Eq. 3)."""

import numpy as np


def certainty_density(known: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian-weighted share of decided positions around each generated position.

    known: bool (G,), the generated positions only. The prompt counts as G decided positions on the left; the state
    of the last position is repeated G times on the right. D(i) = Σ_j φ(i-j) m_j / Σ_d φ(d), φ(d) = exp(-d²/2σ²),
    so 0 ≤ D ≤ 1: the normalised form of the paper's sum, as its published code uses it. Returns float64 (G,).
    """
    length = len(known)
    wide = np.concatenate([np.ones(length), known.astype(float), np.full(length, float(known[-1]))])
    weights = np.exp(-np.square(np.arange(-3 * length, 3 * length) / sigma) / 2)
    near = weights[length + 1 : 5 * length]  # distances -(2G-1) … 2G-1: all that occur
    return np.convolve(wide, near)[3 * length - 1 : 4 * length - 1] / weights.sum()
