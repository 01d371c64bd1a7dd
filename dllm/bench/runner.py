"""The benchmark runner: a suite decoded in several ways on one machine, timed in turns, compared with exact decoders.

At batch 1 every prompt is a run of its own, and its seconds are those of its steps. All ways decode a prompt before the
next prompt begins, in an order that rotates, so that whatever else the machine does slows all of them alike.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dllm.bench import suite as suites
from dllm.bench.document import AR, BENCH_SCHEMA, Benchmark, ModelName, Row, SuiteName
from dllm.bench.plan import BenchPlan, first_of_each_kind, length
from dllm.bench.references import exact_settings, with_gate
from dllm.bench.suite import Suite
from dllm.bench.summary import Answer, summarize
from dllm.bench.ways import select, ways
from dllm.decode import resolve
from dllm.engine import Engine
from dllm.engine.batch import decode_together
from dllm.engine.race import rotated
from dllm.engine.run import Run
from dllm.files import write_file
from dllm.settings import Settings
from dllm.trace import Trace
from dllm.trace.schema import Gate
from dllm.trace.throughput import median_repeat

_INTERVAL = 16  # prompts between two results
_EXACT_BATCH = 16  # prompts that an exact decoder answers together

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """A benchmark so far, and the traces that it names."""

    benchmark: Benchmark
    traces: Mapping[str, Trace]

    def save(self, out: Path, folder: Path) -> None:
        """Write the traces into a folder, then the benchmark, which so never names a file that does not exist."""
        if self.traces:
            folder.mkdir(exist_ok=True)
        for name, trace in self.traces.items():
            trace.save(folder / name)
        write_file(out, self.benchmark.to_json())


class Bench:
    """One benchmark under way: iterate for its results, each of which contains the ones before."""

    def __init__(
        self, engine: Engine, suite: Suite, plan: BenchPlan, *, report: Callable[[str], None] = lambda _: None
    ) -> None:
        """AR is decoded in any case: it is what the other ways are compared with.

        Raises:
            ValueError: no way has such a name.
        """
        known = ways(engine.traits)
        wanted = select(known, plan.only)
        self.ways = {name: settings for name, settings in known.items() if name in wanted or name == AR}
        self.engine, self.suite, self.plan, self.report = engine, suite, plan, report
        self.items = first_of_each_kind(suite.items, plan.limit)
        self.sample = next((n for n, item in enumerate(self.items) if item.check is None), 0)  # open ones are longer
        self.exact: dict[tuple[str | int | None, ...], list[Ids]] = {}
        self._ar: dict[int, Ids] = {}  # by the place of the prompt
        self._alone: dict[str, list[Answer]] = {name: [] for name in self.ways}
        self._samples: dict[str, list[Trace]] = {name: [] for name in self.ways}
        self._rounds: dict[tuple[str, int], list[float]] = {}
        self._rows: dict[tuple[str, int], Row] = {}

    def __iter__(self) -> Iterator[Result]:
        """Warm up, decode exactly, then decode in all ways.

        Raises:
            dllm.bench.sandbox.SandboxError: answers contain code, and this machine cannot run it safely.
        """
        if self.plan.rounds:
            self._warm()
        self._decode_exactly()
        for batch in sorted(self.plan.batches):
            yield from self._one_by_one() if batch == 1 and self.plan.rounds else self._together(batch)

    def _warm(self) -> None:
        self.engine.warm()
        for name in self.ways:
            run = self._run(name, 0)
            self.engine.warm_up += sum(1 for _ in run)

    def _decode_exactly(self) -> None:
        """Once for all ways that have the same exact decoder; never timed."""
        for name, settings in self.ways.items():
            exact = exact_settings(settings, self.engine.traits)
            if layout(exact) in self.exact:
                continue
            self.report(f"exact decoder of {name.partition(',')[0]}")
            runs = [self.engine.run(item.prompt, replace(exact, gen_length=length(item))) for item in self.items]
            for _ in decode_together(runs, rows=_EXACT_BATCH):
                pass
            self.exact[layout(exact)] = [tuple(run.canvas.output) for run in runs]

    def _one_by_one(self) -> Iterator[Result]:
        """Batch 1: each prompt in all ways, in turn."""
        for turn in range(self.plan.rounds):
            for place in range(len(self.items)):
                runs = {name: self._decode(name, place) for name in rotated(list(self.ways), turn + place)}
                self._keep(runs, place, turn)
                self.report(f"round {turn + 1} of {self.plan.rounds}, prompt {place + 1} of {len(self.items)}")
                if (place + 1) % _INTERVAL == 0 or place + 1 == len(self.items):
                    self._summarize()
                    yield self._result()

    def _decode(self, name: str, place: int) -> Run:
        run = self._run(name, place)
        for _ in run:
            pass
        return run

    def _keep(self, runs: Mapping[str, Run], place: int, turn: int) -> None:
        """Keep the times. Answers are checked in the first round only: every repeat writes the same."""
        if turn == 0:
            for name in self.ways:  # AR first
                self._alone[name] += self._check(name, [place], [runs[name]])
        for name, run in runs.items():
            answer = self._alone[name][place]
            self._alone[name][place] = replace(answer, seconds=(*answer.seconds, run.throughput().seconds))
            if place == self.sample and self.plan.traces:
                self._samples[name].append(run.trace())

    def _together(self, batch: int) -> Iterator[Result]:
        """All prompts in one way, in batches, then in the next."""
        answers: dict[str, list[Answer]] = {}
        for turn in range(self.plan.rounds or 1):
            for name in rotated(list(self.ways), turn):
                runs = [self._run(name, place) for place in range(len(self.items))]
                for _ in decode_together(runs, rows=batch):
                    pass
                times = self._rounds.setdefault((name, batch), [])
                if self.plan.rounds:
                    times.append(wall([[r.seconds for r in run.records] for run in runs], batch))
                if turn == 0:  # AR first
                    answers[name] = self._check(name, range(len(runs)), runs)
                self._rows[name, batch] = summarize(
                    name, self._settings(name), answers[name], batch=batch, rounds=times
                )
                self.report(f"batch {batch}, round {turn + 1} of {self.plan.rounds or 1}: {name}")
                yield self._result()

    def _check(self, name: str, places: Sequence[int], runs: Sequence[Run]) -> list[Answer]:
        """These runs' answers beside the suite's checks, the AR network, AR's answers and the exact decoder's."""
        from dllm.models.likelihood import log_probabilities

        outputs = [tuple(run.canvas.output) for run in runs]
        if name == AR:
            self._ar |= dict(zip(places, outputs, strict=True))
        logs: list[list[float]] = [[] for _ in runs]
        if self.engine.traits.causal:
            logs = log_probabilities(
                self.engine.model.net, [(run.prompt, ids) for run, ids in zip(runs, outputs, strict=True)]
            )
        return [
            Answer(
                ids=ids,
                passes=len(run.records),
                exact=self._exact(name, place),
                ar=self._ar.get(place),
                kind=(item := self.items[place]).kind,
                right=None if item.check is None else suites.is_correct(item, run.text),
                log_probs=tuple(log),
            )
            for place, run, ids, log in zip(places, runs, outputs, logs, strict=True)
        ]

    def _summarize(self) -> None:
        """The rows of what was decoded one by one so far."""
        for name, answers in self._alone.items():
            trace = file_name(name) if self._samples[name] else None
            self._rows[name, 1] = summarize(name, self._settings(name), answers, trace=trace)

    def _result(self) -> Result:
        about = self.engine.describe()
        benchmark = Benchmark(
            schema=BENCH_SCHEMA,
            suite=SuiteName(
                name=self.suite.name,
                prompts=len(self.items),
                checked=sum(item.check is not None for item in self.items),
            ),
            model=ModelName(**{key: about[key] for key in ModelName.model_fields}),
            environment=self.engine.environment(),
            rounds=self.plan.rounds,
            rows=tuple(sorted(self._rows.values(), key=lambda row: (row.batch, list(self.ways).index(row.name)))),
        )
        return Result(benchmark, {file_name(name): self._sample(name) for name in self.ways if self._samples[name]})

    def _sample(self, name: str) -> Trace:
        """The sample prompt's median repeat, with the times of all repeats and the exact decoder's answer."""
        answer = self._alone[name][self.sample]
        gate = Gate(
            references={"one_by_one": list(answer.exact)},
            log_prob=sum(answer.log_probs) / len(answer.ids) if answer.log_probs else None,
            item=self.items[self.sample].id,
            right=answer.right,
        )
        return with_gate(median_repeat(self._samples[name]), gate, self.engine)

    def _settings(self, name: str) -> dict[str, object]:
        return resolve(self.ways[name], self.engine.traits).as_json()

    def _exact(self, name: str, place: int) -> Ids:
        return self.exact[layout(exact_settings(self.ways[name], self.engine.traits))][place]

    def _run(self, name: str, place: int) -> Run:
        item = self.items[place]
        return self.engine.run(item.prompt, replace(self.ways[name], gen_length=length(item)))


def layout(resolved: Settings) -> tuple[str | int | None, ...]:
    """What a way of decoding and its exact decoder have in common."""
    return resolved.attention, resolved.block_size, resolved.sub_block_size


def wall(runs: Sequence[Sequence[float]], batch: int) -> float:
    """Seconds of runs decoded together, from the seconds of each run's steps: a pass is counted once for all its rows.

    A pass takes as long as its slowest row waited. A run that ends makes room for the next, as in `dllm.engine.batch`.
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
