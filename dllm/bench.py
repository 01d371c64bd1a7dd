"""The benchmark: a suite decoded in every way on one machine, timed in turns, and held against the exact decoder.

At batch 1 every prompt is a run of its own, and its seconds are those of its steps. All ways of decoding take a prompt
in turn before the next one, in an order that rotates, so that what else the machine does is shared evenly.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dllm import suite as suites
from dllm.batch import decode_together
from dllm.benchmark import AR, Answer, Benchmark, ModelName, Row, SuiteName, Way, summarize
from dllm.decode import Traits, resolve
from dllm.engine import Engine
from dllm.evaluate import CHECKED_LENGTH, OPEN_LENGTH, first_of_each_kind, named, ways
from dllm.gate import departure, distance
from dllm.judge import one_by_one, with_gate
from dllm.pace import median_lap
from dllm.race import rotated
from dllm.run import Run
from dllm.settings import Settings
from dllm.suite import Item, Suite
from dllm.trace import Gate, Trace

EVERY = 16  # prompts, after which there is a result
ROWS = 16  # prompts that the exact decoder answers together
MAX_BATCH = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """What is timed: ways that `only` names (see `dllm.evaluate.named`), at these batch sizes, so many times.

    limit: only so many prompts of each kind. traces: whether a sample prompt's trace is kept for each way.
    """

    only: str = ""
    batches: tuple[int, ...] = (1,)
    rounds: int = 3
    limit: int | None = None
    traces: bool = False

    def __post_init__(self) -> None:
        wrong = [b for b in self.batches if not 1 <= b <= MAX_BATCH]
        if wrong or not self.batches or len(set(self.batches)) < len(self.batches):
            raise ValueError(f"batches are {list(self.batches)}; allowed: numbers from 1 to {MAX_BATCH}, each once")
        if not 1 <= self.rounds <= 1000:
            raise ValueError(f"rounds is {self.rounds}; allowed: 1 to 1000")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit is {self.limit}; allowed: 1 or more")


@dataclass(frozen=True, slots=True)
class Result:
    """A benchmark as far as it is, and the traces that it names."""

    benchmark: Benchmark
    traces: Mapping[str, Trace]

    def save(self, out: Path, folder: Path) -> None:
        """Write the traces into a folder, then the benchmark, so that a file never names what is not there."""
        if self.traces:
            folder.mkdir(exist_ok=True)
        for name, trace in self.traces.items():
            trace.save(folder / name)
        whole = out.with_name(out.name + ".part")
        whole.write_text(self.benchmark.to_json(), encoding="utf-8")
        whole.replace(out)


class Bench:
    """One benchmark under way: iterate for its results, each of which holds the ones before."""

    def __init__(
        self, engine: Engine, suite: Suite, plan: Plan, *, report: Callable[[str], None] = lambda _: None
    ) -> None:
        """AR is timed in any case: it is what speeds are compared with.

        Raises:
            ValueError: no way has such a name.
        """
        known = ways(engine)
        wanted = named(known, plan.only)
        self.ways = {name: settings for name, settings in known.items() if name in wanted or name == AR}
        self.engine, self.suite, self.plan, self.report = engine, suite, plan, report
        self.items = first_of_each_kind(suite.items, plan.limit)
        self.sample = next((n for n, item in enumerate(self.items) if item.check is None), 0)  # open ones are longer
        self.exact: dict[tuple[str | int | None, ...], list[tuple[int, ...]]] = {}
        self._answers: dict[str, list[Answer]] = {name: [] for name in self.ways}
        self._samples: dict[str, list[Trace]] = {name: [] for name in self.ways}
        self._rounds: dict[tuple[str, int], list[float]] = {}
        self._rows: dict[tuple[str, int], Row] = {}

    def __iter__(self) -> Iterator[Result]:
        """Warm up, decode exactly, then time.

        Raises:
            dllm.sandbox.SandboxError: answers hold code, and this machine cannot run it safely.
        """
        self._warm()
        self._decode_exactly()
        if 1 in self.plan.batches:
            yield from self._alone()
        for batch in sorted(set(self.plan.batches) - {1}):
            yield from self._together(batch)

    def _warm(self) -> None:
        self.engine.warm()
        for name in self.ways:
            run = self._run(name, 0)
            self.engine.warm_up += sum(1 for _ in run)

    def _decode_exactly(self) -> None:
        """Once for ways that differ in what they approximate only; nothing is timed here."""
        for name, settings in self.ways.items():
            exact = exactly(settings, self.engine.traits)
            if blocks(exact) in self.exact:
                continue
            self.report(f"the exact decoder's answers: {name.partition(',')[0]}")
            runs = [self.engine.run(item.prompt, replace(exact, gen_length=length(item))) for item in self.items]
            for _ in decode_together(runs, rows=ROWS):
                pass
            self.exact[blocks(exact)] = [tuple(run.canvas.output) for run in runs]

    def _alone(self) -> Iterator[Result]:
        for turn in range(self.plan.rounds):
            for place in range(len(self.items)):
                runs = {name: self._lap(name, place) for name in rotated(list(self.ways), turn + place)}
                self._note(runs, place, turn)
                self.report(f"round {turn + 1} of {self.plan.rounds}, prompt {place + 1} of {len(self.items)}")
                if (place + 1) % EVERY == 0 or place + 1 == len(self.items):
                    yield self._result()

    def _lap(self, name: str, place: int) -> Run:
        run = self._run(name, place)
        for _ in run:
            pass
        return run

    def _note(self, runs: Mapping[str, Run], place: int, turn: int) -> None:
        """Keep what was timed. What was written is judged once: every lap writes the same."""
        judged = self._judged(list(runs), [place] * len(runs), list(runs.values())) if turn == 0 else []
        for name, answer in zip(runs, judged, strict=False):
            self._answers[name].append(answer)
        for name, run in runs.items():
            answer = self._answers[name][place]
            self._answers[name][place] = replace(answer, laps=(*answer.laps, seconds(run)))
            if place == self.sample and self.plan.traces:
                self._samples[name].append(run.trace())

    def _together(self, batch: int) -> Iterator[Result]:
        answers: dict[str, list[Answer]] = {}
        for turn in range(self.plan.rounds):
            for name in rotated(list(self.ways), turn):
                runs = [self._run(name, place) for place in range(len(self.items))]
                for _ in decode_together(runs, rows=batch):
                    pass
                laps = self._rounds.setdefault((name, batch), [])
                laps.append(wall([[r.seconds for r in run.records] for run in runs], batch))
                if turn == 0:
                    answers[name] = self._judged([name] * len(runs), range(len(runs)), runs)
                self._rows[name, batch] = summarize(self._way(name, batch), answers[name], laps)
                self.report(f"batch {batch}, round {turn + 1} of {self.plan.rounds}: {name}, {laps[-1]:.1f} s")
                yield self._result()

    def _judged(self, names: Sequence[str], places: Sequence[int], runs: Sequence[Run]) -> list[Answer]:
        """What these runs wrote, held against checks, the AR network and the exact decoder."""
        from dllm.models.likelihood import log_probabilities

        logs: list[list[float]] = [[] for _ in runs]
        if self.engine.traits.causal:
            logs = log_probabilities(self.engine.model.net, [(run.prompt, tuple(run.canvas.output)) for run in runs])
        answers = []
        for name, place, run, log in zip(names, places, runs, logs, strict=True):
            item, ids = self.items[place], tuple(run.canvas.output)
            reference = self._reference(name, place)
            answers.append(
                Answer(
                    tokens=len(ids),
                    passes=len(run.records),
                    exact_tokens=len(reference),
                    distance=distance(ids, reference),
                    departs=departure(ids, reference),
                    right=None if item.check is None else suites.passes(item, run.text),
                    log_probs=tuple(log),
                )
            )
        return answers

    def _result(self) -> Result:
        traces: dict[str, Trace] = {}
        for name, answers in self._answers.items():
            if not answers:
                continue
            way = self._way(name, 1)
            if self._samples[name]:
                way = replace(way, trace=file_name(name))
                traces[file_name(name)] = self._sample(name)
            self._rows[name, 1] = summarize(way, answers)
        about = self.engine.describe()
        benchmark = Benchmark(
            schema="blockscope.bench/1",
            suite=SuiteName(name=self.suite.name, prompts=len(self.items)),
            model=ModelName(**{key: about[key] for key in ModelName.model_fields}),
            environment=self.engine.environment(),
            rounds=self.plan.rounds,
            rows=tuple(sorted(self._rows.values(), key=lambda row: (row.batch, list(self.ways).index(row.name)))),
        )
        return Result(benchmark, traces)

    def _sample(self, name: str) -> Trace:
        """The sample prompt's median lap, with all its laps and what its answer is held against."""
        answer = self._answers[name][self.sample]
        gate = Gate(
            references={"one_by_one": list(self._reference(name, self.sample))},
            log_prob=sum(answer.log_probs) / answer.tokens if answer.log_probs else None,
            item=self.items[self.sample].id,
            right=answer.right,
        )
        return with_gate(median_lap(self._samples[name]), gate, self.engine)

    def _way(self, name: str, batch: int) -> Way:
        return Way(name, resolve(self.ways[name], self.engine.traits).as_json(), batch)

    def _reference(self, name: str, place: int) -> tuple[int, ...]:
        return self.exact[blocks(exactly(self.ways[name], self.engine.traits))][place]

    def _run(self, name: str, place: int) -> Run:
        item = self.items[place]
        return self.engine.run(item.prompt, replace(self.ways[name], gen_length=length(item)))


def exactly(settings: Settings, traits: Traits) -> Settings:
    """The same blocks and attention without what is approximate: no cache, one token a pass."""
    return resolve(one_by_one(resolve(settings, traits)), traits)


def blocks(resolved: Settings) -> tuple[str | int | None, ...]:
    """What is the same for a way of decoding and its exact decoder."""
    return resolved.attention, resolved.block_size, resolved.sub_block_size


def length(item: Item) -> int:
    """Tokens of an item's answer."""
    return OPEN_LENGTH if item.check is None else CHECKED_LENGTH


def seconds(run: Run) -> float:
    """Of all its steps."""
    return sum(record.seconds for record in run.records)


def wall(runs: Sequence[Sequence[float]], batch: int) -> float:
    """Seconds of runs decoded together, from the seconds of each run's steps: a pass is counted once for all its rows.

    A pass takes what its slowest row waited. Runs join in their order as others end, as in `dllm.batch`.
    """
    waiting, going, total = deque(map(deque, runs)), [], 0.0
    while waiting or going:
        while waiting and len(going) < batch:
            going.append(waiting.popleft())
        total += max(run.popleft() for run in going)
        going = [run for run in going if run]
    return total


def file_name(name: str) -> str:
    """The trace file of a way of decoding."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".json.gz"
