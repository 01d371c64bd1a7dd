"""What should hold of networks that were measured, and how it is told: aims, met or not, and tables."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dllm.benchmark import Number
from dllm.hardware import D2, NO_CACHE, Hardware, Network
from dllm.step import Kind

LARGE = 4e9  # parameters from which on a pass should keep the higher share of the floor's speed
COMPARED: Sequence[tuple[Kind, int]] = (("ar", 1), ("denoise", 32))  # kinds of passes, and their queries
FLOOR_SHARE = {True: 0.7, False: 0.5}  # by whether the network is large
NOTE = (
    "The floor is the time that a pass's bytes (weights, keys and values) take at the bandwidth measured in the same "
    "run; its share is floor ÷ median. The host's share is what planning and committing take of the passes of a run, "
    "as against its time inside the device's part, which includes handing over inputs and launching. Tokens a second "
    "are those of all answers by the wall clock of the whole decoding, prompt and tracing included. Weights are "
    "random, so nothing is said of answers. Memory is the most that torch held of the device, graphs included."
)


@dataclass(frozen=True, slots=True)
class Aim:
    """A ratio that was measured, the bound it should keep, and whether that is a least or a most."""

    what: str
    value: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether it keeps its bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def told(self) -> tuple[str, str, str]:
        """The ratio, its bound, and whether it keeps it, as a table tells them."""
        return f"{self.value:.3f}", f"{'≥' if self.at_least else '≤'} {self.bound:g}", "yes" if self.met else "no"


def aims(network: Network) -> list[Aim]:
    """What should hold of a network, as far as it was measured."""
    bound = FLOOR_SHARE[network.parameters >= LARGE]
    shares = [(timed, share) for timed in network.passes if (share := network.share(timed)) is not None]
    found = [Aim(f"{timed.name}: share of the floor's speed", share, bound, True) for timed, share in shares]
    steps = {timed.kind: timed.seconds.value for timed in network.passes if (timed.kind, timed.queries) in COMPARED}
    if len(steps) == len(COMPARED):
        found.append(Aim("denoise step of 32 queries ÷ AR step", steps["denoise"] / steps["ar"], 1.15, False))
    if network.passes:
        host = max(timed.host for timed in network.passes)
        found.append(Aim("host's share of a pass, the largest", host, 0.05, False))
    plain, cached = network.rate(NO_CACHE), network.rate(D2)
    if plain and cached:
        found.append(Aim("d2Cache ÷ no cache, tokens/s", cached.tps.value / plain.tps.value, 3.1, True))
    return found


def table(found: Hardware) -> str:
    """All of it as Markdown tables, and what was counted."""
    lines: list[str] = []
    for network in found.networks:
        lines += [f"### {network.title}", "", f"{described(network)} on {place(network)}.", ""]
        lines += [*_passes(network), *_rates(network), *_aims(network)]
        lines += [f"Did not fit into memory: {', '.join(network.full)}.", ""] if network.full else []
    return "\n".join([*lines, NOTE])


def described(network: Network) -> str:
    """What was measured, in one line."""
    peak = network.environment.peak_bytes
    read = "" if peak is None else f"; {peak / 1e9:.0f} GB/s measured"
    return (
        f"{network.title} ({network.parameters / 1e6:.0f} M parameters, {network.dtype}; prompts of {network.prompt} "
        f"and answers of {network.answer} tokens{read})"
    )


def place(network: Network) -> str:
    """Where, in one line."""
    where = network.environment
    graphs = {True: ", passes replayed from graphs", False: ", no graphs", None: ""}[where.graphs]
    attention = "" if where.attention is None else f", attention {where.attention}"
    commit = "" if where.commit is None else f", commit {where.commit}"
    return f"{re.sub('^(cpu|cuda): ', '', where.device)}, torch {where.torch}{attention}{graphs}{commit}"


def _passes(network: Network) -> list[str]:
    if not network.passes:
        return []
    lines = [
        "| pass | ms, median | range | floor, ms | share of the floor | host's share |",
        "|---|---|---|---|---|---|",
    ]
    for timed in network.passes:
        floor, share = network.floor(timed), network.share(timed)
        beside = "– | –" if floor is None or share is None else f"{1e3 * floor:.3f} | {100 * share:.0f} %"
        milliseconds = f"{1e3 * timed.seconds.value:.3f} | {_range(timed.seconds, 1e3, 3)}"
        lines.append(f"| {timed.name} | {milliseconds} | {beside} | {100 * timed.host:.1f} % |")
    return [*lines, ""]


def _rates(network: Network) -> list[str]:
    if not network.rates:
        return []
    lines = [
        "| decoding | batch | tokens/s, median | range | tokens a pass | memory, GB |",
        "|---|---|---|---|---|---|",
    ]
    for rate in network.rates:
        tpf = "–" if rate.tpf is None else f"{rate.tpf:.2f}"
        memory = "–" if rate.memory is None else f"{rate.memory / 1e9:.1f}"
        speed = f"{rate.tps.value:.1f} | {_range(rate.tps, 1, 1)}"
        lines.append(f"| {rate.decoding} | {rate.batch} | {speed} | {tpf} | {memory} |")
    return [*lines, ""]


def _aims(network: Network) -> list[str]:
    if not (found := aims(network)):
        return []
    lines = ["| ratio | measured | aim | met |", "|---|---|---|---|"]
    lines += [f"| {' | '.join((aim.what, *aim.told))} |" for aim in found]
    return [*lines, ""]


def _range(number: Number, factor: float, digits: int) -> str:
    if number.low is None or number.high is None:
        return "–"
    return f"{factor * number.low:.{digits}f} to {factor * number.high:.{digits}f}"
