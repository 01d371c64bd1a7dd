"""Targets for measured networks, and the tables of a hardware document."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dllm.bench.document import Number
from dllm.bench.hardware import Hardware, Network, Rate, Way
from dllm.bench.summary import markdown

LARGE = 4e9  # parameters from which a pass should reach the larger share of its bandwidth bound
_BOUND_SHARE = {True: 0.7, False: 0.5}  # by whether the network is large
_WIDTHS = {8: 1.25, 32: 1.15}  # by the queries of a denoising pass: most AR steps that it may take
VERIFIED = (Way.VERIFIED_2, Way.VERIFIED_2_ALL, Way.VERIFIED_1)
_THRESHOLD = (Way.BLOCK_8, Way.BLOCK_32_8)
_FORCED = (Way.BLOCK_8_K2, Way.BLOCK_8_K3, Way.BLOCK_32_8_K2, Way.BLOCK_32_8_K3)
NOTES = (
    "The bound of a pass is the time that its bytes (weights, keys and values) take at the bandwidth measured in the "
    "same run; its share is bound ÷ median. The host's share is the part of the passes' time not spent on the device, "
    "where handing over inputs and launching count as the device's. Tokens a second are those of all answers by the "
    "wall clock of the whole decoding, prompt and tracing included. Memory is the most that torch held of the device, "
    "graphs included."
)
RANDOM = "Weights are random, so nothing is said of answers."


@dataclass(frozen=True, slots=True)
class Target:
    """A measured ratio and its bound, which it should reach (at_least) or not exceed."""

    name: str
    value: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the value keeps its bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def cells(self) -> tuple[str, str, str]:
        """Value, bound, and whether it is met, as tables show them."""
        return f"{self.value:.3f}", f"{'≥' if self.at_least else '≤'} {self.bound:g}", "yes" if self.met else "no"


def targets(network: Network) -> list[Target]:
    """The targets for which a network was measured."""
    return [*_pass_targets(network), *_speed_targets(network)]


def _pass_targets(network: Network) -> Iterator[Target]:
    bound = _BOUND_SHARE[network.parameters >= LARGE]
    for timed in network.passes if network.environment.device.startswith("cuda") else ():
        if (share := network.share(timed)) is not None:
            yield Target(f"{timed.title}: share of its bandwidth bound", share, bound, True)
    step = next((timed for timed in network.passes if timed.kind == "ar"), None)
    for timed in network.passes if step else ():
        if timed.kind == "denoise" and timed.queries in _WIDTHS:
            value = timed.seconds.value / step.seconds.value  # type: ignore[union-attr]
            yield Target(f"{timed.title} ÷ AR step", value, _WIDTHS[timed.queries], False)
    if network.passes:
        yield Target("host's share of a pass, the largest", max(timed.host for timed in network.passes), 0.05, False)
    if recorder := [timed.recorder for timed in network.passes if timed.recorder is not None]:
        yield Target("recording ÷ decoding, the largest", max(recorder), 0.03, False)


def _speed_targets(network: Network) -> Iterator[Target]:
    ar, transformers = network.rate(Way.AR), network.rate(Way.AR, engine="transformers")
    found = [
        _ratio(ar, transformers, 1.8),
        *(_ratio(network.rate(way), ar, 1.4) for way in VERIFIED),
        *(_ratio(_fastest(network), base, bound) for base, bound in ((ar, 1.4), (transformers, 2.5))),
        *(_ratio(network.rate(way), ar, 1.4) for way in _FORCED),
        _ratio(network.rate(Way.D2), network.rate(Way.NO_CACHE), 3.1),
    ]
    yield from (target for target in found if target)


def _fastest(network: Network) -> Rate | None:
    """Of block diffusion at a threshold the fastest."""
    rates = [rate for way in _THRESHOLD if (rate := network.rate(way))]
    return max(rates, key=lambda rate: rate.tps.value, default=None)


def _ratio(above: Rate | None, below: Rate | None, bound: float) -> Target | None:
    if above is None or below is None:
        return None
    return Target(f"{above.title} ÷ {below.title}, tokens/s", above.tps.value / below.tps.value, bound, True)


def notes(found: Hardware) -> str:
    """What the numbers of a document mean."""
    return f"{NOTES} {RANDOM}" if any(network.random for network in found.networks) else NOTES


def tables(found: Hardware) -> str:
    """A document as Markdown: a heading and up to three tables for each network, and what the numbers mean."""
    parts: list[str] = []
    for network in found.networks:
        parts += [f"### {network.title}", f"{description(network)} on {place(network)}."]
        parts += [part for part in (_passes(network), _rates(network), _targets(network)) if part]
        parts += [f"Did not fit into memory: {', '.join(network.full)}."] if network.full else []
    return "\n\n".join([*parts, f"Medians of up to {found.rounds} round{'s' * (found.rounds != 1)}. {notes(found)}"])


def description(network: Network) -> str:
    """What was measured, in one line."""
    peak = network.environment.peak_bytes
    read = "" if peak is None else f"; {peak / 1e9:.0f} GB/s measured"
    return (
        f"{network.title} ({network.parameters / 1e6:.0f} M parameters, {network.dtype}; prompts of {network.prompt} "
        f"and answers of {network.answer} tokens{read})"
    )


def place(network: Network) -> str:
    """Where it was measured, in one line."""
    where = network.environment
    threads = f", {where.threads} thread{'s' * (where.threads != 1)}" if where.device.startswith("cpu") else ""
    graphs = {True: ", passes replayed from graphs", False: ", no graphs", None: ""}[where.graphs]
    attention = "" if where.attention is None else f", attention {where.attention}"
    commit = "" if where.commit is None else f", commit {where.commit}"
    return f"{re.sub('^(cpu|cuda): ', '', where.device)}{threads}, torch {where.torch}{attention}{graphs}{commit}"


def _passes(network: Network) -> str:
    titles = ["pass", "ms, median", "range", "bound, ms", "share of the bound", "host's share"]
    rows = []
    for timed in network.passes:
        bound, share = network.bound(timed), network.share(timed)
        rows.append([
            timed.title,
            f"{1e3 * timed.seconds.value:.3f}",
            _range(timed.seconds, 1e3, 3),
            "–" if bound is None else f"{1e3 * bound:.3f}",
            "–" if share is None else f"{100 * share:.0f} %",
            f"{100 * timed.host:.1f} %",
        ])  # fmt: skip
    return markdown(titles, rows) if rows else ""


def _rates(network: Network) -> str:
    titles = ["decoding", "batch", "tokens/s, median", "range", "tokens a pass", "memory, GB"]
    rows = [
        [
            rate.title,
            str(rate.batch),
            f"{rate.tps.value:.1f}",
            _range(rate.tps, 1, 1),
            "–" if rate.tpf is None else f"{rate.tpf:.2f}",
            "–" if rate.memory is None else f"{rate.memory / 1e9:.1f}",
        ]
        for rate in network.rates
    ]
    return markdown(titles, rows) if rows else ""


def _targets(network: Network) -> str:
    rows = [[target.name, *target.cells] for target in targets(network)]
    return markdown(["ratio", "measured", "target", "met"], rows) if rows else ""


def _range(number: Number, factor: float, digits: int) -> str:
    if number.low is None or number.high is None:
        return "–"
    return f"{factor * number.low:.{digits}f} to {factor * number.high:.{digits}f}"
