"""Why a pass committed a token, in words, and how sure its surroundings were."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dllm.cache import CACHES
from dllm.cache.d2 import D2
from dllm.settings import Choice, SettingsError, is_autoregressive, is_verified
from dllm.trace import StepRecord
from dllm.trace.throughput import Meter
from dllm.unmask import certainty_density


def commit_reasons(record: StepRecord, settings: Mapping[str, Any]) -> list[str]:
    """For each committed token of a pass, which rule wrote it; `settings` are resolved, as in a trace."""
    drawn = " It was drawn by chance." if settings.get("temperature") else ""
    if is_verified(settings):
        kept = set(record.positions[: len(record.tested or ())]) - set(record.remasked)
        words = ("a guess that AR confirmed", "AR's own token")
        return [f"{words[p not in kept]}.{drawn}" for p in record.committed]
    if is_autoregressive(settings):
        return [f"AR writes one token a pass.{drawn}" for _ in record.committed]
    sure = dict(zip(record.positions, record.confidence, strict=True))
    return [f"{_rule_words(settings.get('unmask') or {}, sure, record.committed, p)}.{drawn}" for p in record.committed]


def _rule_words(rule: Mapping[str, Any], sure: Mapping[int, float], committed: list[int], position: int) -> str:
    """Why a rule of `dllm.unmask` chose a position."""
    k = _option(rule, "k", 1)
    best = "the best guess of the step" if k == 1 else f"one of the {k:.4g} best guesses of the step"
    if rule.get("name") == "threshold" and rule.get("score", "confidence") == "confidence":
        least = _option(rule, "threshold", 0.9)
        if sure[position] > least:
            return f"surer than the threshold of {least:.4g}"
        return best if any(sure[p] > least for p in committed) else f"{best}: none passed the threshold of {least:.4g}"
    words = {
        "threshold": f"above the threshold, or {best}",  # by a score that a trace does not keep
        "top_k": best,
        "factor": f"among the surest guesses whose joint doubt stays below {_option(rule, 'factor', 1.0):.4g}",
        "entropy_bound": "among the surest guesses whose entropies sum to at most "
        f"{_option(rule, 'gamma', 0.1):.4g} nats",
        "certainty_prior": f"{best} by confidence × certainty density",
    }
    return words.get(rule.get("name", ""), "chosen by its unmasking rule")


def _option(rule: Mapping[str, Any], name: str, usual: float) -> float:
    """An option of a rule, which need not be named; a stranger's trace may say anything."""
    value = rule.get(name, usual)
    return value if isinstance(value, int | float) else usual


def densities(record: StepRecord, before: Meter, settings: Mapping[str, Any], *, shift: int) -> list[tuple[int, float]]:
    """Certainty density (d²Cache, arXiv 2509.23094, Eq. 3) of the positions that a pass recomputed because of it.

    before: has measured the passes before this one. A query at p predicts p + shift, whose density it is.
    """
    chosen, policy = (record.reasons or {}).get("density"), _d2(settings)
    if not chosen or policy is None:
        return []
    known = np.zeros(settings["gen_length"], dtype=bool)
    known[[p - before.start for p in before.written if 0 <= p - before.start < len(known)]] = True
    density = certainty_density(known, policy.sigma)
    places = [(p, p + shift - before.start) for p in chosen]
    return [(p, round(float(density[i]), 3)) for p, i in places if 0 <= i < len(density)]


def _d2(settings: Mapping[str, Any]) -> D2 | None:
    """The policy of a lane that d²Cache decoded; None of others, and where a stranger's options are none of its own."""
    try:
        policy = Choice.of(settings["cache"], "cache").build(CACHES, "cache")
    except SettingsError:
        return None
    return policy if isinstance(policy, D2) else None
