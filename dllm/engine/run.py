"""A run: one decoding by a decoder and a device session, and its record."""

from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

from dllm.decode import Decoder, ModelTraits
from dllm.engine.loop import Scheduler
from dllm.settings import VERIFY, Settings
from dllm.step import Plan, Readout, Step
from dllm.trace.cost import Sizes, cost
from dllm.trace.records import StepRecord, record
from dllm.trace.schema import Environment, ModelRecord, Timing, Trace
from dllm.trace.throughput import Meter, Throughput
from dllm.verify import VerifiedDecoder

if TYPE_CHECKING:
    from dllm.models.loader import Model
    from dllm.models.runner import Runner
    from dllm.models.session import Session

ALTERNATIVES = 5


class Run:
    """One decoding: iterate over its steps; `trace()` works at any time."""

    def __init__(
        self,
        model: "Model",
        runner: "Runner",
        prompt: list[int],
        settings: Settings,
        *,
        traits: ModelTraits,
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
        self.sizes = model_sizes(model)

    def __iter__(self) -> Iterator[Step]:
        """Decode, once; see `session`. Closing the iterator frees the KV cache."""
        return Scheduler().decode(self)

    def plan(self) -> Plan | None:
        """The next forward pass, or None when the answer is written."""
        return self.decoder.plan()

    def commit(self, readout: Readout) -> Step:
        """Commit tokens of the answer to `plan()`; see `Decoder.apply`. Record the step before the next plan."""
        return self.decoder.apply(readout)

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
        """The run's session on the device, made once; the caller owns it.

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
            block_size=causal_block_size(s),
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

    def throughput(self) -> Throughput:
        """The numbers of the run so far, as in its trace and on the page."""
        return Meter(len(self.prompt), self.canvas.end, self.canvas.stop_ids).measure(self.records)

    def trace(self) -> Trace:
        """The record so far; "cancelled" where the answer is not complete."""
        ids = {*self.prompt, *(t for r in self.records for t in r.tokens)}
        ids |= {t for r in self.records for row in r.alternatives or () for t, _ in row}
        ids |= {t for r in self.records for case in r.cases or () for t in case.tokens}
        numbers, tokenizer = self.throughput(), self.model.tokenizer
        pieces, fragments = ({}, {}) if tokenizer is None else tokenizer.texts(ids)
        return Trace(
            schema="blockscope.trace/1",
            model=model_record(self.model),
            settings=self.settings.as_json(),
            environment=self.environment.model_copy(update={"rows": self.rows, **self._noted}),
            prompt=self.prompt,
            pieces=pieces,
            bytes=fragments or None,  # type: ignore[call-arg]
            output=self.canvas.output,
            stop_reason=self.canvas.stop_reason or "cancelled",
            steps=self.records,
            timing=Timing(ttft=numbers.ttft, decode=numbers.seconds, recorder=self.recorder),
        )


def causal_block_size(settings: Settings) -> int | None:
    """Block size of block-causal attention; 1 for hybrid's known tokens, as in AR; None for bidirectional."""
    return {"block_causal": settings.block_size, "hybrid": 1}.get(str(settings.attention))


def model_record(model: "Model") -> ModelRecord:
    """The trace's record of a model."""
    return ModelRecord(
        id=model.id,
        family=model.spec.name,
        sha256=model.sha256,
        dtype=model.dtype,
        parameters=model.parameters,
        layers=model.net.shape.layers,
        heads=model.net.shape.heads,
        sizes=model_sizes(model),
        shift=model.spec.shift,
    )


def model_sizes(model: "Model") -> Sizes:
    """The sizes that a pass's FLOPs and bytes depend on."""
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
