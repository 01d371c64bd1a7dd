"""What a device does with networks of published shapes and random weights: `bench --suite gpu`.

Prompts are drawn from a seed and no stop token ends an answer, so every run makes the passes that its settings say.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from statistics import median
from time import perf_counter

from dllm.batch import decode_together
from dllm.benchmark import AR, Number
from dllm.engine import Engine
from dllm.hardware import BLOCKS, D2, NO_CACHE, THEIRS, Hardware, Network, Pass, Rate
from dllm.records import StepRecord
from dllm.run import model_record
from dllm.settings import Choice, Settings
from dllm.speed import Timed, ours, theirs
from dllm.step import Kind

# the largest first: of a run that is cut off, the most telling part is there
NETWORKS = (
    "random:Efficient-Large-Model/Fast_dLLM_v2_7B",
    "random:Efficient-Large-Model/Fast_dLLM_v2_1.5B",
    "random:GSAI-ML/LLaDA-8B-Instruct",
)
PATIENCE = 5.0  # seconds after which a rate is not decoded once more
WARM = 32  # tokens of an answer that is not timed: a block, and as many AR steps as a graph needs to be captured

ONE = Choice("top_k", {"k": 1})
# kinds of passes, their queries, and the runs they are found in
PASSES: dict[tuple[Kind, int], Settings] = {
    ("ar", 1): Settings(block_size=1, unmask=ONE),
    ("denoise", 32): Settings(block_size=32, cache=Choice("block"), unmask=ONE),
    ("denoise", 8): Settings(block_size=32, sub_block_size=8, cache=Choice("sub_block"), unmask=ONE),
}
# 12 passes write a block of 32: its first token, 11 times three at most, and what encodes it. That is 2.67 tokens a
# pass, the nearest a whole number comes to the 2.64 that Fast-dLLM v2 reports at threshold 0.9.
TOGETHER = {
    AR: Settings(block_size=1),
    BLOCKS: Settings(block_size=32, sub_block_size=32, cache=Choice("block"), unmask=Choice("top_k", {"k": 3})),
}
WHOLE = {
    NO_CACHE: Settings(attention="bidirectional", block_size=32, cache=Choice("none"), unmask=ONE),
    D2: Settings(attention="bidirectional", block_size=32, cache=Choice("d2"), unmask=ONE),
}
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. causal, whole: tokens of an answer under block-causal and under full attention.

    rounds: how often each run of passes is timed, and how often a rate at most.
    """

    rounds: int = 3
    prompt: int = 256
    causal: int = 512
    whole: int = 256
    batches: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds is {self.rounds}; allowed: 1 or more")


def measure(
    load: Callable[[str], Engine], names: Sequence[str], report: Report, *, plan: Plan = Plan()
) -> Iterator[Hardware]:
    """The document so far, after every part; each network is loaded when its turn comes and let go before the next.

    Raises:
        ValueError: a network that writes one token at a time only.
    """
    from dllm.models.memory import release

    done: list[Network] = []
    for name in names:
        report(f"{name}: loading")
        engine = load(name)
        report(f"{name}: warming up")
        engine.warm()
        network = None
        for network in _Measuring(engine, plan, report).parts():
            yield Hardware(schema="blockscope.hardware/1", rounds=plan.rounds, networks=(*done, network))
        assert network is not None
        done.append(network)
        del engine
        release()


@dataclass(slots=True)
class _Measuring:
    """One network, and what is known of it so far."""

    engine: Engine
    plan: Plan
    report: Report
    passes: list[Pass] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    full: list[str] = field(default_factory=list)

    def parts(self) -> Iterator[Network]:
        """What is known after each part."""
        traits = self.engine.traits
        if traits.mask_id is None:
            raise ValueError(f"the model {self.engine.model.id} is autoregressive; allowed: one that decodes blocks")
        if "block_causal" in traits.attentions:
            yield from self._causal()
        if "bidirectional" in traits.attentions:
            yield from self._whole()

    def _causal(self) -> Iterator[Network]:
        length = self.plan.causal
        for (kind, queries), settings in PASSES.items():
            self._say(f"passes over {queries} position{'' if queries == 1 else 's'}")
            self.passes += self._timed(kind, queries, settings, length)
            yield self._network(length)
        self._say(THEIRS)
        self._rate(THEIRS, self._generate)
        yield self._network(length)
        going = dict(TOGETHER)
        for batch in self.plan.batches:
            for name, settings in list(going.items()):
                self._say(f"{name}, batch {batch}")
                if not self._rate(name, lambda s=settings, b=batch: self._together(s, b, length), batch):
                    del going[name]  # more will not fit either
                yield self._network(length)

    def _whole(self) -> Iterator[Network]:
        for name, settings in WHOLE.items():
            self._say(name)
            self._rate(name, lambda s=settings: self._alone(s))
            yield self._network(self.plan.whole)

    def _timed(self, kind: Kind, queries: int, settings: Settings, length: int) -> list[Pass]:
        """The passes of one kind in runs of one answer; none where the runs have no such pass."""
        rounds: list[list[StepRecord]] = []
        host = []
        for _ in range(self.plan.rounds + 1):
            run = self.engine.run(self._prompt(0), self._endless(settings, length))
            lap = ours(run)
            rounds.append([r for r in run.records if (r.kind, r.query_count) == (kind, queries)])
            host.append(1 - lap.device / sum(seconds for _, seconds in lap.passes))
        rounds, host = rounds[1:], host[1:]  # the first does not count
        found = sorted((r for records in rounds for r in records), key=lambda r: r.seconds)
        if not found:
            return []
        seconds = _number(
            [r.seconds for r in found], [median(r.seconds for r in records) for records in rounds if records]
        )
        size = round(median(r.bytes for r in found))
        share = min(1.0, max(0.0, median(host)))
        return [Pass(kind=kind, queries=queries, count=len(found), seconds=seconds, bytes=size, host=share)]

    def _rate(self, name: str, prepare: Callable[[], Callable[[], Timed]], batch: int = 1) -> bool:
        """Measure a rate, if the memory holds it; `prepare` does what is not timed and gives what is."""
        from dllm.models.memory import peak, release, unless_full

        device = self.engine.model.device

        def laps() -> list[Timed]:
            work = prepare()
            release(device)
            found: list[Timed] = []
            while not found or (len(found) < self.plan.rounds and sum(lap.seconds for lap in found) < PATIENCE):
                found.append(work())
            return found

        found = unless_full(laps)
        if found is None:
            self.full.append(f"{name} at batch {batch}")
            self._say(f"{self.full[-1]} does not fit into memory")
            return False
        seconds = [lap.seconds for lap in found]
        self.rates.append(
            Rate(
                decoding=name,
                batch=batch,
                tokens=found[0].tokens,
                passes=len(found[0].passes) or None,
                laps=len(found),
                seconds=_number(seconds, seconds),
                memory=peak(device),
            )
        )
        return True

    def _generate(self) -> Callable[[], Timed]:
        from dllm.models.baseline import baseline

        generate = baseline(self.engine.model, stop_ids=())
        theirs(generate, self._prompt(0), WARM)
        return lambda: theirs(generate, self._prompt(0), self.plan.causal)

    def _together(self, settings: Settings, batch: int, length: int) -> Callable[[], Timed]:
        """So many at a time. What is not timed is a short answer in every stretch of entries that has its own graph."""
        from dllm.models.graph import VISIBLE

        prompt = self.plan.prompt
        starts = {prompt, *range(-(-prompt // VISIBLE) * VISIBLE, prompt + length, VISIBLE)}
        for start in sorted(starts, reverse=True):  # the longest first: storage grows once
            self._decode(settings, batch, start, min(WARM, length))
        return lambda: self._decode(settings, batch, prompt, length)

    def _decode(self, settings: Settings, batch: int, prompt: int, length: int) -> Timed:
        runs = [self.engine.run(self._prompt(row, prompt), self._endless(settings, length)) for row in range(batch)]
        began = perf_counter()
        for _ in decode_together(runs, rows=batch):
            pass
        seconds = perf_counter() - began
        passes = [(r.query_count, r.seconds) for r in runs[0].records]
        return Timed(seconds, sum(len(run.canvas.output) for run in runs), passes)

    def _alone(self, settings: Settings) -> Callable[[], Timed]:
        settings = self._endless(settings, self.plan.whole)
        ours(self.engine.run(self._prompt(0), settings))  # a cache that chooses queries has passes of many sizes
        return lambda: ours(self.engine.run(self._prompt(0), settings))

    def _prompt(self, row: int, length: int | None = None) -> list[int]:
        """The ids of a row's prompt: by chance, but neither the mask nor what would end an answer."""
        traits, draw = self.engine.traits, Random(row)
        special = {traits.mask_id, *traits.stop_ids}
        ids: list[int] = []
        while len(ids) < (length or self.plan.prompt):
            if (token := draw.randrange(traits.vocab)) not in special:
                ids.append(token)
        return ids

    def _endless(self, settings: Settings, length: int) -> Settings:
        return replace(settings, gen_length=length, stop_ids=())

    def _network(self, answer: int) -> Network:
        model = model_record(self.engine.model)
        return Network(
            name=model.id,
            dtype=model.dtype,
            parameters=model.parameters,
            environment=self.engine.environment(),
            prompt=self.plan.prompt,
            answer=answer,
            passes=tuple(self.passes),
            rates=tuple(self.rates),
            full=tuple(self.full),
        )

    def _say(self, what: str) -> None:
        self.report(f"{self.engine.model.id}: {what}")


def _number(values: Sequence[float], bounds: Sequence[float]) -> Number:
    """The median of the values; the bounds where there are several."""
    if len(bounds) == 1:
        return Number(value=median(values))
    return Number(value=median(values), low=min(bounds), high=max(bounds))
