"""Measuring a device: passes of a network by width, and decoding speeds beside other engines.

`bench --suite cpu` and `bench --suite gpu` are two presets of it. Rows are engine × threads × way of decoding × batch
size; a preset says whether all rows of a batch size take turns or come one after the other. Another engine needs a name
in `EngineName`, its rows in `_rates` and its decoding in `_warmed`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from statistics import median
from time import perf_counter

from dllm.bench.document import Number
from dllm.bench.hardware import HARDWARE_SCHEMA, EngineName, Hardware, Network, Pass, Rate, Way, title
from dllm.bench.presets import PASSES, SETTINGS, Preset
from dllm.engine import Engine
from dllm.engine.batch import decode_together
from dllm.engine.race import rotated
from dllm.engine.run import Run, model_record
from dllm.settings import VERIFY, Settings
from dllm.step import Kind

_WARM_UP = 32  # tokens of an untimed answer: a block, and enough AR steps for a graph to be captured
Report = Callable[[str], None]
Load = Callable[[str], Engine]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch decoded once: wall seconds, tokens of all answers, passes of the first answer (None: unknown)."""

    seconds: float
    tokens: int
    passes: int | None = None


@dataclass(frozen=True, slots=True)
class Contender:
    """A row to be measured: an engine in one way of decoding at one batch size. threads: None: the process's own."""

    engine: EngineName
    way: Way
    batch: int = 1
    threads: int | None = None

    @property
    def title(self) -> str:
        """For progress and for what does not fit."""
        return f"{title(self.engine, self.way, self.threads)} at batch {self.batch}"


def measure(load: Load, preset: Preset, report: Report) -> Iterator[Hardware]:
    """The document so far, after every part; a network is loaded when its turn comes and released before the next.

    Raises:
        ValueError: a network of which the preset measures nothing.
    """
    from dllm.models.device import free_memory

    done: list[Network] = []
    for name in preset.networks:
        report(f"{name}: loading")
        engine = load(name)
        report(f"{name}: warming up")
        engine.warm()
        network = None
        for network in _Measuring(engine, preset, report).parts():
            yield Hardware(schema=HARDWARE_SCHEMA, rounds=preset.rounds, networks=(*done, network))
        assert network is not None
        done.append(network)
        del engine
        free_memory()


@dataclass(slots=True)
class _Measuring:
    """One network, and what is known of it so far."""

    engine: Engine
    preset: Preset
    report: Report
    passes: list[Pass] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    full: list[str] = field(default_factory=list)

    def parts(self) -> Iterator[Network]:
        """What is known after each part."""
        traits = self.engine.traits
        if traits.mask_id is None:
            raise ValueError(f"the model {self.engine.model.id} is autoregressive; allowed: one that decodes blocks")
        full = self.preset.full if "bidirectional" in traits.attentions else ()
        if not traits.causal and not full:
            raise ValueError(f"the model {self.engine.model.id} decodes no causal blocks; allowed: one that does")
        if traits.causal:
            yield from self._passes()
            yield from self._rates()
        for way in full:
            self._time([Contender("blockscope", way)])
            yield self._network(self.preset.full_answer)

    def _passes(self) -> Iterator[Network]:
        for (kind, queries), settings in PASSES.items():
            if queries not in self.preset.widths:
                continue
            self._say(f"passes over {queries} position{'s' * (queries != 1)}")
            self.passes += self._pass(kind, queries, settings)
            yield self._network(self.preset.answer)

    def _rates(self) -> Iterator[Network]:
        ways = [w for w in self.preset.ways if SETTINGS[w].rule.name != VERIFY or self._verifies()]
        for batch in self.preset.batches:
            rows = [Contender("transformers", Way.AR)] if batch == 1 else []
            rows += [Contender("blockscope", way, batch) for way in ways]
            for group in [rows] if self.preset.in_turns else [[row] for row in rows]:
                if not self._time(group):  # at a larger batch it will not fit either
                    ways = [way for way in ways if way not in {row.way for row in group if row.engine == "blockscope"}]
                yield self._network(self.preset.answer)

    def _verifies(self) -> bool:
        return "hybrid" in self.engine.traits.attentions

    def _pass(self, kind: Kind, queries: int, settings: Settings) -> list[Pass]:
        """The passes of one kind and width in runs of one answer; none if the runs have no such pass."""
        first, *runs = [self._endless_run(settings) for _ in range(self.preset.rounds + 1)]
        self.engine.warm_up += len(first.records)
        rounds = [[r for r in run.records if (r.kind, r.query_count) == (kind, queries)] for run in runs]
        whole = [sum(r.seconds for r in run.records) for run in runs]
        found = [r for records in rounds for r in records]
        if not found:
            return []
        return [
            Pass(
                kind=kind,
                queries=queries,
                count=len(found),
                seconds=_number([r.seconds for r in found], [median(r.seconds for r in part) for part in rounds]),
                bytes=round(median(r.bytes for r in found)),
                host=_share(median(1 - run.device / seconds for run, seconds in zip(runs, whole, strict=True))),
                recorder=_share(median(run.recorder / seconds for run, seconds in zip(runs, whole, strict=True))),
            )
        ]

    def _endless_run(self, settings: Settings) -> Run:
        """One answer of the preset's length, decoded."""
        run = self.engine.run(self._prompt(0), replace(settings, gen_length=self.preset.answer, stop_ids=()))
        for _ in decode_together([run], rows=1):
            pass
        return run

    def _time(self, group: Sequence[Contender]) -> bool:
        """Time these rows in turns, if the memory holds them."""
        from dllm.models.device import free_memory, none_if_oom, peak_memory

        device = self.engine.model.device

        def work() -> dict[Contender, list[Decoded]]:
            self._say(f"{group[0].title}, warm-up")
            decode = {row: self._warmed(row) for row in group}
            free_memory(device)
            found: dict[Contender, list[Decoded]] = {row: [] for row in group}
            spent = 0.0
            for turn in range(self.preset.rounds):
                if turn and spent >= self.preset.patience:
                    break
                self._say(f"{group[0].title}{' and others in turns' * (len(group) > 1)}, round {turn + 1}")
                for row in rotated(group, turn):
                    found[row].append(decode[row]())
                    spent += found[row][-1].seconds
            return found

        found = none_if_oom(work)
        for row in group if found is None else ():
            self.full.append(row.title)
            self._say(f"{row.title} does not fit into memory")
        self.rates += [_rate(row, repeats, peak_memory(device)) for row, repeats in (found or {}).items()]
        return found is not None

    def _warmed(self, row: Contender) -> Callable[[], Decoded]:
        """A decoding of this row to be timed, after what must not be timed."""
        if row.engine == "transformers":
            return self._transformers()
        prompt, length = len(self._prompt(0)), self._length(row.way)
        if self.engine.environment().graphs and row.way not in self.preset.full:
            self._capture(row, prompt, length)
        else:  # a whole one: caches that choose queries make passes of many sizes
            self._decode(row, prompt, length)
        return lambda: self._decode(row, prompt, length)

    def _capture(self, row: Contender, prompt: int, length: int) -> None:
        """A short answer in every stretch of KV cache entries that has graphs of its own."""
        from dllm.models.cuda_graph import VISIBLE_MULTIPLE

        starts = {prompt, *range(-(-prompt // VISIBLE_MULTIPLE) * VISIBLE_MULTIPLE, prompt + length, VISIBLE_MULTIPLE)}
        for start in sorted(starts, reverse=True):  # the longest first: storage grows once
            self._decode(row, start, min(_WARM_UP, length))

    def _decode(self, row: Contender, prompt: int, length: int) -> Decoded:
        stops = {"stop_ids": ()} if self.preset.endless else {}
        settings = replace(SETTINGS[row.way], gen_length=length, **stops)
        runs = [self.engine.run(self._prompt(n, prompt), settings) for n in range(row.batch)]
        began = perf_counter()
        for _ in decode_together(runs, rows=row.batch):
            pass
        seconds = perf_counter() - began
        return Decoded(seconds, sum(len(run.canvas.output) for run in runs), len(runs[0].records))

    def _transformers(self) -> Callable[[], Decoded]:
        from dllm.models.baseline import transformers_generate

        generate = transformers_generate(self.engine.model, stop_ids=() if self.preset.endless else None)
        generate(self._prompt(0), _WARM_UP)

        def decode() -> Decoded:
            began = perf_counter()
            answer = generate(self._prompt(0), self.preset.answer)
            return Decoded(perf_counter() - began, len(answer))

        return decode

    def _length(self, way: Way) -> int:
        return self.preset.full_answer if way in self.preset.full else self.preset.answer

    def _prompt(self, row: int, length: int | None = None) -> list[int]:
        """The ids of a row's prompt: the preset's text, or drawn by a seed from ids that mean nothing special."""
        if isinstance(self.preset.prompt, str):
            return self.engine.run(self.preset.prompt, Settings(gen_length=1)).prompt
        traits, draw = self.engine.traits, Random(row)
        special = {traits.mask_id, *traits.stop_ids}
        ids: list[int] = []
        while len(ids) < (length or self.preset.prompt):
            if (token := draw.randrange(traits.vocab)) not in special:
                ids.append(token)
        return ids

    def _network(self, answer: int) -> Network:
        model = model_record(self.engine.model)
        return Network(
            name=model.id,
            dtype=model.dtype,
            parameters=model.parameters,
            environment=self.engine.environment(),
            prompt=len(self._prompt(0)),
            answer=answer,
            passes=tuple(self.passes),
            rates=tuple(self.rates),
            full=tuple(self.full),
        )

    def _say(self, what: str) -> None:
        self.report(f"{self.engine.model.id}: {what}")


def _rate(row: Contender, repeats: Sequence[Decoded], memory: int | None) -> Rate:
    seconds = [each.seconds for each in repeats]
    return Rate(
        engine=row.engine,
        way=row.way,
        threads=row.threads,
        batch=row.batch,
        tokens=repeats[0].tokens,
        passes=repeats[0].passes,
        repeats=len(repeats),
        seconds=_number(seconds, seconds),
        memory=memory,
    )


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


def _number(values: Sequence[float], bounds: Sequence[float]) -> Number:
    """The median of the values; the bounds if there are several."""
    if len(bounds) == 1:
        return Number(value=median(values))
    return Number(value=median(values), low=min(bounds), high=max(bounds))
