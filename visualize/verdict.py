"""Which lane was faster, why, and what it cost the answer, in a few sentences that hide nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from dllm.settings import is_autoregressive, is_verified
from dllm.trace import Trace
from dllm.trace.compare import compare_references
from dllm.trace.throughput import Throughput, comparable, repeat_tps, throughput
from visualize.comparison import comparison_sentence, not_a_race
from visualize.pricing import has_sizes, pass_costs

_TIE = 0.03  # a difference that runs on a shared machine cannot show


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane that ended. name: as it is called within a sentence. repeats: tokens per second, one a repeat."""

    name: str
    trace: Trace
    numbers: Throughput
    repeats: list[float]

    @property
    def compared(self) -> bool:
        """Whether its answer was compared with an exact decoder's."""
        return bool(compare_references(self.trace))

    @property
    def tps(self) -> str:
        """Tokens per second, with the spread of its repeats."""
        own, tps = self.repeats, f"{self.numbers.tps:.1f}"
        return f"{tps} ({len(own)} repeats, {min(own):.1f} to {max(own):.1f})" if len(own) > 1 else tps


def verdict(traces: Mapping[str, Trace]) -> str:
    """Compare lanes that ended, by their titles, with AR, or with the slowest where AR is none of them.

    A speed-up is told with what it did to the answer, or not at all. "" where there is nothing to compare.
    """
    if len(traces) < 2:
        return ""
    if why := comparable(list(traces.values())):
        return not_a_race(why)
    lanes = sorted(_lanes(traces), key=lambda lane: -lane.numbers.tps)
    if not all(lane.numbers.tps for lane in lanes):
        return ""
    base = next((lane for lane in lanes if is_autoregressive(lane.trace.settings)), lanes[-1])
    rival = next(lane for lane in lanes if lane is not base)
    ranking = [_ranking(lanes, base)] if len(lanes) > 2 else []
    exact = [
        lane for lane in lanes if lane not in (base, rival) and is_verified(lane.trace.settings) and _same(lane, base)
    ]
    sentences = [_comparison(rival, base), _why(rival, base), *(_comparison(lane, base) for lane in exact)]
    return " ".join([*ranking, *sentences, *_answers(lanes, base)])


def _lanes(traces: Mapping[str, Trace]) -> list[Lane]:
    """AR is called so, unless two lanes are."""
    single = sum(is_autoregressive(trace.settings) for trace in traces.values()) == 1
    return [
        Lane(
            "AR" if single and is_autoregressive(trace.settings) else _lowered(title),
            trace,
            throughput(trace),
            repeat_tps(trace),
        )
        for title, trace in traces.items()
    ]


def _ranking(lanes: list[Lane], base: Lane) -> str:
    """All lanes, the fastest first; a lane whose speed-up cannot be claimed says so."""
    names = [
        f"{lane.name} {lane.tps}" + (" (answer not compared with the exact decoder)" if _unproven(lane, base) else "")
        for lane in lanes
    ]
    return f"From fastest to slowest: {', '.join(names)} tokens per second."


def _comparison(rival: Lane, base: Lane) -> str:
    same = _same(rival, base)
    if _tied(rival, base):
        return (
            f"Equally fast here: {rival.tps} tokens per second by {rival.name}, {base.tps} by {base.name}; "
            "the difference is within the noise of these runs." + (" Both wrote the same words." if same else "")
        )
    if _unproven(rival, base):
        return (
            f"{_raised(rival.name)} was ahead of {base.name}, but its answer was not compared with the exact decoder, "
            "so no speed-up is claimed."
        )
    first, second = (rival, base) if rival.numbers.tps > base.numbers.tps else (base, rival)
    times = first.numbers.tps / second.numbers.tps
    if same and first is rival:
        return (
            f"{_raised(rival.name)} wrote the same words as AR, {times:.2f} times as fast: {rival.tps} tokens per "
            f"second beside AR's {base.tps}."
        )
    if same:
        return (
            f"{_raised(rival.name)} wrote the same words as AR, but AR was {times:.2f} times as fast: {base.tps} "
            f"tokens per second beside {rival.tps}."
        )
    return (
        f"{_raised(first.name)} was faster here: {first.tps} tokens per second, {times:.2f} times {second.name}'s "
        f"{second.tps}."
    )


def _why(rival: Lane, base: Lane) -> str:
    """What a pass computed, wrote and took, and what a token cost."""
    ours, theirs = rival.numbers, base.numbers
    computed = sum(step.query_count for step in rival.trace.steps) / ours.nfe
    time = (ours.seconds / ours.nfe) / (theirs.seconds / theirs.nfe)
    than = "an AR pass" if base.name == "AR" else f"a pass of {base.name}"
    opening = f"A pass of {rival.name} computed {computed:.1f} positions for the {ours.tpf:.2f} tokens it wrote"
    if not (has_sizes(rival.trace) and has_sizes(base.trace)):
        return f"{opening} and took {time:.2f} times as long as {than}, which wrote {theirs.tpf:.2f}."
    work = _work(rival) / _work(base)
    return (
        f"{opening}, took {time:.2f} times as long as {than}, and did {work:.1f} times the operations for each token."
    )


def _answers(lanes: list[Lane], base: Lane) -> list[str]:
    """What the speed of every faster lane did to its answer."""
    faster = [lane for lane in lanes if lane.numbers.tps > base.numbers.tps and not _tied(lane, base) and lane.compared]
    return [f"{_raised(lane.name)}: {_first_lowered(comparison_sentence(lane.trace))}" for lane in faster]


def _same(lane: Lane, base: Lane) -> bool:
    """Whether it wrote what AR beside it wrote, token for token."""
    return base.name == "AR" and lane.trace.output == base.trace.output


def _tied(one: Lane, other: Lane) -> bool:
    """Whether their difference is too small to show, or their repeats reach into each other."""
    if abs(one.numbers.tps - other.numbers.tps) <= _TIE * max(one.numbers.tps, other.numbers.tps):
        return True
    if not (one.repeats and other.repeats):
        return False
    return min(one.repeats) <= max(other.repeats) and min(other.repeats) <= max(one.repeats)


def _unproven(lane: Lane, base: Lane) -> bool:
    """Whether it was ahead at an unknown price."""
    return lane.numbers.tps > base.numbers.tps and not _tied(lane, base) and not lane.compared


def _work(lane: Lane) -> float:
    """Operations a token."""
    return sum(price.flops for price in pass_costs(lane.trace)) / lane.numbers.tokens


def _lowered(title: str) -> str:
    """A title within a sentence: "Block diffusion" loses its capital, "PrefixCache" is a name."""
    return _first_lowered(title) if title[1:].partition(" ")[0].islower() else title


def _first_lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _raised(text: str) -> str:
    return text[:1].upper() + text[1:]
