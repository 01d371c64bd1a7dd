"""How lanes compare, for a reader who knows nothing of them: one plain sentence, then a line for each lane."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean

from dllm.settings import is_autoregressive
from dllm.trace import Trace
from dllm.trace.compare import compare_references, departure
from dllm.trace.throughput import Throughput, comparable, repeat_tps, throughput
from visualize.comparison import comparison_sentence, not_a_race
from visualize.pricing import has_sizes, pass_costs

_TIE = 0.03  # a difference that runs on a shared machine cannot show
_ALIKE = 1.25  # lengths of answers up to this ratio may be compared by tokens per second
_ONCE = "Measured once: a race measures several times."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of lanes that ended: the sentence under the run, and its reasons, a line each."""

    sentence: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ended:
    """A lane that ended. name: within a sentence. repeats: tokens per second, one a repeat."""

    name: str
    trace: Trace
    numbers: Throughput
    repeats: list[float]

    @property
    def pass_seconds(self) -> float:
        return self.numbers.seconds / self.numbers.nfe

    @property
    def queries(self) -> float:
        """Positions computed in a pass, on average."""
        return self.numbers.computed / self.numbers.nfe

    @property
    def tps(self) -> str:
        own, tps = self.repeats, f"{self.numbers.tps:.1f}"
        return f"{tps} ({len(own)} repeats, {min(own):.1f} to {max(own):.1f})" if len(own) > 1 else tps


def verdict(traces: Mapping[str, Trace]) -> Verdict | None:
    """Compare lanes that ended, by their titles, with AR, or with the slowest where AR is none of them.

    A speed-up is claimed only where repeats show it, the measurement was not disturbed, and what it did to the answer
    is known. None where there is nothing to compare.
    """
    if len(traces) < 2:
        return None
    if why := comparable(list(traces.values())):
        return Verdict(not_a_race(why))
    lanes = sorted(_ended(traces), key=lambda lane: -lane.numbers.tps)
    if not all(lane.numbers.tps for lane in lanes):
        return None
    base = next((lane for lane in lanes if is_autoregressive(lane.trace.settings)), lanes[-1])
    others = [lane for lane in lanes if lane is not base]
    return Verdict(
        f"{_what(others[0], base)} {_speed(others[0], base)}",
        (*(_line(lane, base) for lane in others), *([_own_line(base)] if len(others) > 1 else [])),
    )


def _ended(traces: Mapping[str, Trace]) -> list[_Ended]:
    """AR is called so, unless two lanes are."""
    single = sum(is_autoregressive(trace.settings) for trace in traces.values()) == 1
    return [
        _Ended(
            "AR" if single and is_autoregressive(trace.settings) else title,
            trace,
            throughput(trace),
            repeat_tps(trace),
        )
        for title, trace in traces.items()
    ]


def _what(lane: _Ended, base: _Ended) -> str:
    """Which words, in how many passes, after how long."""
    ours, theirs = lane.numbers, base.numbers
    return (
        f"{lane.name} wrote {_words(lane, base)} in {_passes(ours.nfe)} instead of {theirs.nfe}, and took "
        f"{_seconds(ours.seconds)} instead of {_seconds(theirs.seconds)}."
    )


def _words(lane: _Ended, base: _Ended) -> str:
    departs = departure(lane.trace.output, base.trace.output)
    if departs is None:
        return f"the same words as {base.name}"
    return f"other words than {base.name} (from token {departs + 1} on)"


def _speed(lane: _Ended, base: _Ended) -> str:
    """Who was faster and why, as firmly as the measurement allows."""
    ours, theirs = lane.numbers, base.numbers
    why = (
        f"a pass took {lane.pass_seconds / base.pass_seconds:.2f} times as long as {_whose(base)} and wrote "
        f"{ours.tpf:.2f} tokens"
    )
    if not 1 / _ALIKE <= ours.tokens / theirs.tokens <= _ALIKE:
        return (
            f"The answers are too different in length, {ours.tokens} and {theirs.tokens} tokens, to say which way of "
            "decoding is faster."
        )
    if _disturbed(lane, base):
        return (
            f"The measurement was disturbed: a pass over {lane.queries:.1f} positions cannot be quicker than one over "
            f"{base.queries:.1f}. Please run it again."
        )
    if min(len(lane.repeats), len(base.repeats)) < 2:
        return f"{_raised(why)}. {_ONCE}"
    return _claim(lane, base, why)


def _claim(lane: _Ended, base: _Ended, why: str) -> str:
    """Who was faster, of lanes that were each measured several times."""
    ours, theirs = lane.numbers.tps, base.numbers.tps
    if _tied(lane, base):
        return f"Equally fast within the noise of {len(lane.repeats)} repeats: {why}."
    if ours < theirs:
        return f"{base.name} was {theirs / ours:.2f} times as fast, because {why}."
    if not compare_references(lane.trace):
        return "Its answer was not compared with the exact decoder's, so no speed-up is claimed."
    return f"That is {ours / theirs:.2f} times as fast, because {why}."


def _line(lane: _Ended, base: _Ended) -> str:
    """The numbers behind the sentence, and what the lane's answer is worth."""
    computed = f"{lane.queries:.1f} positions a pass"
    if has_sizes(lane.trace) and has_sizes(base.trace):
        computed += f", {_work(lane) / _work(base):.1f} times the operations of {base.name} for each token"
    line = f"{_own_line(lane)[:-1]}; {computed}."
    compared = comparison_sentence(lane.trace)
    return f"{line} {compared}" if compared else line


def _own_line(lane: _Ended) -> str:
    numbers = lane.numbers
    return f"{lane.name}: {lane.tps} tokens per second, {numbers.tokens} tokens in {_passes(numbers.nfe)}."


def _disturbed(lane: _Ended, base: _Ended) -> bool:
    """Whether passes that computed and saw more were measured as quicker, beyond what noise does."""
    more = lane.queries > base.queries and _visible(lane) >= _visible(base)
    return more and lane.pass_seconds < (1 - _TIE) * base.pass_seconds


def _visible(lane: _Ended) -> float:
    return mean(step.visible for step in lane.trace.steps)


def _tied(one: _Ended, other: _Ended) -> bool:
    """Whether their difference is too small to show, or their repeats reach into each other."""
    if abs(one.numbers.tps - other.numbers.tps) <= _TIE * max(one.numbers.tps, other.numbers.tps):
        return True
    return min(one.repeats) <= max(other.repeats) and min(other.repeats) <= max(one.repeats)


def _work(lane: _Ended) -> float:
    """Operations a token."""
    return sum(price.flops for price in pass_costs(lane.trace)) / lane.numbers.tokens


def _whose(base: _Ended) -> str:
    return "AR's" if base.name == "AR" else f"one of {base.name}"


def _passes(count: int) -> str:
    return f"{count} pass{'es' * (count != 1)}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.0f} ms"


def _raised(text: str) -> str:
    return text[:1].upper() + text[1:]
