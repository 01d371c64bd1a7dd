"""How fast one answer is written on this machine, against transformers and against ourselves: `bench --suite cpu`."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any

from dllm.aims import Aim
from dllm.benchmark import AR
from dllm.decode import Traits
from dllm.engine import Engine
from dllm.hardware import THEIRS
from dllm.run import Run
from dllm.settings import VERIFY, Choice, Settings

SCHEMA = "blockscope.speed/1"
PROMPT = "Tell me a short story about a lost cat."
LENGTH = 48
BLOCKS = {
    "block 8": {"block_size": 8, "sub_block_size": 8},
    "block 32/8, sub-block cache": {"block_size": 32, "sub_block_size": 8, "cache": Choice("sub_block")},
}
VERIFIED = {
    "verified, 2 drafts": {},
    "verified, 2 drafts, every case": {"least": 0.0},
    "verified, 1 draft": {"drafts": 1},
}
WIDTH = 8  # positions of the pass that is compared with an AR step


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens per second over all rounds, and tokens a forward pass (None where passes are not known)."""

    median: float
    low: float
    high: float
    tpf: float | None


@dataclass(frozen=True, slots=True)
class Timed:
    """One answer: wall seconds of the whole of it, and its tokens. Of ours also what is inside.

    passes: positions computed and seconds of each. device: seconds of all inside the network and its readout.
    """

    seconds: float
    tokens: int
    passes: Sequence[tuple[int, float]] = ()
    device: float = 0.0
    recorder: float = 0.0


def ways(traits: Traits) -> dict[str, Settings]:
    """Ours: AR, verified where the model can, both blocks at threshold 0.9 and made to commit two and three a pass."""
    plain = Settings(gen_length=LENGTH)
    found = {AR: replace(plain, block_size=1)}
    if "hybrid" in traits.attentions:
        found |= {name: replace(plain, unmask=Choice(VERIFY, options)) for name, options in VERIFIED.items()}
    for name, change in BLOCKS.items():
        block = replace(plain, **change)
        found[f"{name}, threshold 0.9"] = replace(block, unmask=Choice("threshold", {"threshold": 0.9}))
        found |= {f"{name}, {k} tokens a pass forced": replace(block, unmask=Choice("top_k", {"k": k})) for k in (2, 3)}
    return found


def measure(engine: Engine, *, rounds: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Every way once a round, in turn, after a round that does not count.

    Raises:
        ValueError: rounds below 1, or a model that transformers cannot run or that cannot do block diffusion.
    """
    from dllm.models.baseline import baseline

    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; allowed: 1 or more")
    if engine.autoregressive or not engine.traits.causal:
        raise ValueError(f"the model {engine.model.id} decodes no causal blocks; allowed: one that does, as 'default'")
    generate, prompt = baseline(engine.model), engine.run(PROMPT, Settings(gen_length=LENGTH)).prompt
    known = ways(engine.traits)
    timed: dict[str, list[Timed]] = {THEIRS: [], **{name: [] for name in known}}
    for number in range(rounds + 1):
        report(f"round {number} of {rounds}" if number else "warm-up round")
        found = {THEIRS: theirs(generate, prompt, LENGTH)}
        found |= {name: ours(engine.run(prompt, settings)) for name, settings in known.items()}
        for name, lap in found.items() if number else ():
            timed[name].append(lap)
    rates = {name: _rate(laps) for name, laps in timed.items()}
    return {
        "schema": SCHEMA,
        "model": engine.describe()["id"],
        "dtype": engine.model.dtype,
        "environment": engine.environment().model_dump(exclude_none=True),
        "prompt_tokens": len(prompt),
        "rounds": rounds,
        "rates": {name: asdict(rate) for name, rate in rates.items()},
        "aims": [{**asdict(aim), "met": aim.met} for aim in _aims(rates, timed)],
    }


def table(result: dict[str, Any]) -> str:
    """The result as two Markdown tables, and what was counted."""
    place = result["environment"]
    lines = ["| decoding | tokens/s, median | range | tokens a pass |", "|---|---|---|---|"]
    for name, rate in result["rates"].items():
        tpf = "–" if rate["tpf"] is None else f"{rate['tpf']:.2f}"
        lines.append(f"| {name} | {rate['median']:.1f} | {rate['low']:.1f} to {rate['high']:.1f} | {tpf} |")
    lines += ["", "| ratio | measured | aim | met |", "|---|---|---|---|"]
    for aim in result["aims"]:
        sign, met = "≥" if aim["at_least"] else "≤", "yes" if aim["met"] else "no"
        lines.append(f"| {aim['what']} | {aim['value']:.3f} | {sign} {aim['bound']:g} | {met} |")
    return "\n".join([
        *lines,
        "",
        f"{result['model']} in {result['dtype']} on {place['device']}, {place['threads']} threads, torch "
        f"{place['torch']}; {result['rounds']} rounds, every way once a round in turn, one warm-up round. Tokens per "
        f"second are those of an answer of up to {LENGTH} tokens to a prompt of {result['prompt_tokens']}, by the wall "
        "clock of the whole call, prompt and end of sequence included.",
    ])  # fmt: skip


def theirs(generate: Callable[[list[int], int], list[int]], prompt: list[int], most: int) -> Timed:
    """One answer of so many tokens at most, by transformers."""
    began = perf_counter()
    answer = generate(prompt, most)
    return Timed(perf_counter() - began, len(answer))


def ours(run: Run) -> Timed:
    """One answer, driven as `Run` drives itself, with a clock around the device's part of every pass."""
    began, device = perf_counter(), 0.0
    session = run.session()
    while plan := run.plan():
        asked = perf_counter()
        readout = session.forward(plan)
        device += perf_counter() - asked - readout.overhead
        run.apply(readout)
    passes = [(record.query_count, record.seconds) for record in run.records]
    return Timed(perf_counter() - began, len(run.canvas.output), passes, device, run.recorder)


def _rate(laps: Sequence[Timed]) -> Rate:
    rates = sorted(lap.tokens / lap.seconds for lap in laps)
    passes = sum(len(lap.passes) for lap in laps)
    tpf = sum(lap.tokens for lap in laps) / passes if passes else None
    return Rate(median(rates), rates[0], rates[-1], tpf)


def _aims(rates: dict[str, Rate], timed: dict[str, list[Timed]]) -> list[Aim]:
    best = max((f"{name}, threshold 0.9" for name in BLOCKS), key=lambda name: rates[name].median)
    ours = [lap for name, laps in timed.items() if name != THEIRS for lap in laps]
    seconds = sum(s for lap in ours for _, s in lap.passes)
    narrow = median(s for lap in timed[AR] for n, s in lap.passes if n == 1)
    wide = median(s for lap in ours for n, s in lap.passes if n == WIDTH)
    return [
        Aim("our AR ÷ transformers' AR", rates[AR].median / rates[THEIRS].median, 1.8, True),
        *(
            Aim(f"{name} ÷ our AR", rates[name].median / rates[AR].median, 1.4, True)
            for name in VERIFIED if name in rates
        ),
        Aim(f"block diffusion ({best}) ÷ our AR", rates[best].median / rates[AR].median, 1.4, True),
        Aim(f"block diffusion ({best}) ÷ transformers' AR", rates[best].median / rates[THEIRS].median, 2.5, True),
        *(
            Aim(f"{name} ÷ our AR", rates[name].median / rates[AR].median, 1.4, True)
            for name in rates if name.endswith("forced")
        ),
        Aim(f"a pass over {WIDTH} positions ÷ an AR step", wide / narrow, 1.25, False),
        Aim("host's share of a step", 1 - sum(lap.device for lap in ours) / seconds, 0.05, False),
        Aim("tracing's share of decoding", sum(lap.recorder for lap in ours) / seconds, 0.03, False),
    ]  # fmt: skip
