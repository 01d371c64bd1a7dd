"""One decoding: a decoder, a device session, and the record of what they did; and the loop that drives one or many."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, TypeVar

from dllm.cost import Sizes, cost
from dllm.decode import Decoder, Traits
from dllm.pace import Meter
from dllm.records import StepRecord
from dllm.settings import VERIFY, Settings
from dllm.step import Plan, Readout, Step
from dllm.trace import Environment, Timing, Trace, record
from dllm.trace import Model as ModelRecord
from dllm.verify import VerifiedDecoder

if TYPE_CHECKING:
    from dllm.models.loader import Model
    from dllm.models.runner import Runner
    from dllm.models.session import Session

ALTERNATIVES = 5
Found = TypeVar("Found")


class Run:
    """One decoding: iterate for its steps as they happen; `trace()` at any time."""

    def __init__(
        self,
        model: "Model",
        runner: "Runner",
        prompt: list[int],
        settings: Settings,
        *,
        traits: Traits,
        environment: Environment,
    ) -> None:
        """`settings` must be resolved; `runner`: of the model's network.

        Raises:
            SettingsError: the prompt does not suit the model.
        """
        self.model, self.runner, self.prompt = model, runner, prompt
        self.settings, self.environment = settings, environment
        kind = VerifiedDecoder if settings.rule.name == VERIFY else Decoder
        self.decoder: Decoder | VerifiedDecoder = kind(prompt, settings, traits)
        self.canvas = self.decoder.canvas
        self.records: list[StepRecord] = []
        self.recorder = 0.0
        self.device = 0.0  # seconds of all passes on the device, see `Readout.device`
        self.rows = 1  # most runs that a pass of this one served
        self._begun = False
        self._noted: dict[str, Any] = {}  # what the environment was for this run
        self.sizes = sizes_of(model)

    def __iter__(self) -> Iterator[Step]:
        """Decode, once. Closing the iterator frees the KV cache.

        Raises:
            RuntimeError: the run was begun before; its KV cache is gone.
        """
        return Table().decode(self)

    def plan(self) -> Plan | None:
        """The next forward pass, or None when the answer is written."""
        return self.decoder.plan()

    def commit(self, readout: Readout) -> Step:
        """Commit tokens of the answer to `plan()`; the step must be recorded before the next plan.

        Raises:
            RuntimeError: the cache policy reached no mask.
        """
        return self.decoder.apply(readout)

    def apply(self, readout: Readout) -> Step:
        """Commit and record.

        Raises:
            RuntimeError: see both.
        """
        step = self.commit(readout)
        self.record(step)
        return step

    def record(self, step: Step) -> StepRecord:
        """Keep the record of a step.

        Raises:
            RuntimeError: the network computed another number of positions than the record says.
        """
        began = perf_counter()
        plan, readout = step.plan, step.readout
        price = cost(len(plan.queries), plan.visible, len(plan.asked), self.sizes)
        kept = record(step, rollout="rollout" in self.settings.record, flops=price.flops, bytes=price.bytes)
        if readout.computed not in (None, kept.query_count):
            raise RuntimeError(
                f"step {step.index} records {kept.query_count} positions, but the network computed {readout.computed}"
            )
        self.records.append(kept)
        self.recorder += readout.overhead + perf_counter() - began
        self.device += readout.device
        return kept

    def session(self) -> "Session":
        """The device's side of this run; whoever drives the run holds it, once.

        Raises:
            RuntimeError: the run was begun before; its KV cache is gone.
        """
        if self._begun:
            raise RuntimeError("a run decodes once; ask the engine for another")
        self._begun = True
        from dllm.models.sampling import Sampler
        from dllm.models.session import Observe

        s, decoder = self.settings, self.decoder
        sampler = Sampler(
            self.model.mask_id, s.temperature, s.top_p, s.seed, decoder.needs_margin, decoder.needs_entropy
        )
        observe = Observe(
            alternatives=ALTERNATIVES if "alternatives" in s.record else 0,
            rollout=decoder.needs_rollout or "rollout" in s.record,
            attention="attention" in s.record,
        )
        session = self.runner.session(
            self.canvas.length + decoder.scratch,
            block_size=causal_blocks(s),
            shift=self.canvas.shift,
            sampler=sampler,
            observe=observe,
        )
        self._noted = {"attention": str(session.attention), "graphs": session.cache.slot is not None}
        return session

    def piece(self, token: int) -> str:
        """The text of one id; the id itself where there is no tokenizer."""
        return f"<{token}>" if self.model.tokenizer is None else self.model.tokenizer.piece(token)

    def fragment(self, token: int) -> bytes | None:
        """The bytes of an id, where they are not whole UTF-8 text by themselves; else None."""
        return None if self.model.tokenizer is None else self.model.tokenizer.fragment(token)

    @property
    def text(self) -> str:
        """The answer so far."""
        return "" if self.model.tokenizer is None else self.model.tokenizer.decode(self.canvas.output)

    def trace(self) -> Trace:
        """The record so far; "cancelled" where the answer is not complete."""
        ids = {*self.prompt, *(t for r in self.records for t in r.tokens)}
        ids |= {t for r in self.records for row in r.alternatives or () for t, _ in row}
        ids |= {t for r in self.records for case in r.cases or () for t in case.tokens}
        numbers = Meter(len(self.prompt), self.canvas.end, self.canvas.stop_ids).measure(self.records)
        return Trace(
            schema="blockscope.trace/1",
            model=model_record(self.model),
            settings=self.settings.as_json(),
            environment=self.environment.model_copy(update={"rows": self.rows, **self._noted}),
            prompt=self.prompt,
            pieces={} if self.model.tokenizer is None else {i: self.piece(i) for i in sorted(ids)},
            bytes={i: part.hex() for i in sorted(ids) if (part := self.fragment(i))} or None,
            output=self.canvas.output,
            stop_reason=self.canvas.stop_reason or "cancelled",
            steps=self.records,
            timing=Timing(ttft=numbers.ttft, decode=numbers.seconds, recorder=self.recorder),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A run that is being decoded, with its KV cache.

    made: the steps that were made in shared passes and not taken yet, or the error that ended the run.
    """

    run: Run
    session: "Session"
    made: deque[Step | Exception] = field(default_factory=deque)

    @classmethod
    def begin(cls, run: Run) -> "Row":
        """Raises RuntimeError where the run was begun before."""
        return cls(run, run.session())

    def take(self) -> Step | None:
        """The next step that was made; None where there is none. An error that ended the run is raised."""
        found = self.made.popleft() if self.made else None
        if isinstance(found, Exception):
            raise found
        return found

    def attempt(self, work: Callable[[], Found]) -> Found | None:
        """The result of some work for this row; None where it failed, and the error waits to be taken."""
        try:
            return work()
        except Exception as error:  # of whatever kind: it must not end the other rows
            clear_frames(error.__traceback__)  # they hold the device's memory, and the error may wait for long
            self.made.append(error)
            return None


class Table:
    """Runs decoded together as they come and go: a pass serves all that wait for one and are of the same network.

    For one thread: taking a step of one run makes the pass for the others too, which find their steps made.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def decode(self, run: Run) -> Iterator[Step]:
        """The steps of a run; closing the iterator frees its KV cache and leaves the others alone.

        Raises:
            RuntimeError: the run's own; never that of another.
        """
        row = Row.begin(run)
        self.rows.append(row)
        try:
            while step := self._next(row):
                yield step
        finally:
            self.rows.remove(row)

    def _next(self, row: Row) -> Step | None:
        if not row.made:
            runner = row.run.runner
            advance([other for other in self.rows if other.run.runner is runner and not other.made], apart=True)
        return row.take()


def advance(rows: Sequence[Row], *, apart: bool = False) -> None:
    """Make one forward pass for all rows, which are of one network: each gets its next step, or its own error.

    A row whose answer is complete gets nothing. All decoders commit before anything is recorded, so that no step's
    seconds contain the recording of other rows.

    apart: where a pass for several rows fails (out of memory), make a pass for each, so that only those rows end
        whose own pass fails. Otherwise its error is raised.
    """
    asked = [(row, plan) for row in rows if (plan := row.attempt(row.run.plan))]
    found = _shared(asked, apart) if len(asked) > 1 else None
    if found is None:
        found = [got for turn in asked for got in turn[0].attempt(partial(_pass, [turn])) or ()]
    steps = [(row, step) for row, readout in found if (step := row.attempt(partial(row.run.commit, readout)))]
    for row, step in steps:
        if row.attempt(partial(row.run.record, step)):
            row.made.append(step)


def _shared(asked: list[tuple[Row, Plan]], apart: bool) -> list[tuple[Row, Readout]] | None:
    """One pass for all; None where it failed and rows are to be tried apart, once the failed pass's memory is free."""
    try:
        return _pass(asked)
    except Exception:
        if not apart:
            raise
    return None


def _pass(asked: list[tuple[Row, Plan]]) -> list[tuple[Row, Readout]]:
    """One forward pass, whose number of rows each run keeps."""
    readouts = asked[0][0].run.runner.forward([(row.session, plan) for row, plan in asked])
    for row, _ in asked:
        row.run.rows = max(row.run.rows, len(asked))
    return [(row, readout) for (row, _), readout in zip(asked, readouts, strict=True)]


def causal_blocks(settings: Settings) -> int | None:
    """The size of the blocks that see earlier ones only; None where all see all. Known tokens of hybrid: as in AR."""
    return {"block_causal": settings.block_size, "hybrid": 1}.get(str(settings.attention))


def model_record(model: "Model") -> ModelRecord:
    """What a trace says of a model."""
    return ModelRecord(
        id=model.id,
        family=model.spec.name,
        sha256=model.sha256,
        dtype=model.dtype,
        parameters=model.parameters,
        layers=model.net.shape.layers,
        heads=model.net.shape.heads,
        sizes=sizes_of(model),
    )


def sizes_of(model: "Model") -> Sizes:
    """What passes of a model are priced by."""
    shape = model.net.shape
    return Sizes(
        layers=shape.layers,
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        layer_weights=sum(p.numel() for p in model.net.layers[0].parameters() if p.dim() == 2),
        vocab=shape.vocab,
        itemsize=model.net.norm.weight.element_size(),
    )
