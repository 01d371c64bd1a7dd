"""Statistics of many answers: bootstrap intervals over prompts, and how much an answer repeats itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

_RESAMPLES = 2000
LEVEL = 95  # per cent


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and the bounds of its confidence interval."""

    value: float
    low: float
    high: float


def estimate(count: int, statistic: Callable[[np.ndarray], Any]) -> Estimate | None:
    """A statistic of `count` prompts and its percentile bootstrap interval (Efron 1979); None of no prompts.

    statistic: maps prompt indices (…, count) to one number a row.
    """
    if not count:
        return None
    drawn = statistic(np.random.default_rng(0).integers(count, size=(_RESAMPLES, count)))
    low, high = np.percentile(drawn, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Estimate(float(statistic(np.arange(count))), float(low), float(high))


def mean(values: Sequence[float]) -> Estimate | None:
    """The mean of one number a prompt; None of no prompts."""
    drawn = np.array(values)
    return estimate(len(drawn), lambda i: drawn[i].mean(-1))


def ratio(above: Sequence[float], below: Sequence[float]) -> Estimate | None:
    """The sum of one number a prompt ÷ the sum of another; None of no prompts."""
    over, under = np.array(above), np.array(below)
    return estimate(len(over), lambda i: over[i].sum(-1) / under[i].sum(-1))


def distinct_2(ids: Sequence[int]) -> float | None:
    """Distinct pairs of neighbours ÷ all pairs (Li et al. 2016, arXiv 1510.03055, within one answer).

    None if there are no pairs.
    """
    pairs = list(pairwise(ids))
    return len(set(pairs)) / len(pairs) if pairs else None
