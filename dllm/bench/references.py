"""Reference answers by exact decoders, and what a trace keeps of an answer's comparison with them."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from dllm.bench.suite import SUITES, Item, Suite, is_correct
from dllm.decode import ModelTraits, resolve
from dllm.settings import VERIFY, Choice, Settings
from dllm.trace import Trace
from dllm.trace.schema import Gate
from dllm.unmask import UNMASKS

if TYPE_CHECKING:
    from dllm.engine import Engine


def reference_settings(settings: Settings) -> dict[str, Settings]:
    """The exact decoders that an answer is compared with, by name, from its (resolved) settings; see `Gate`.

    AR commits one token per pass anyway. An answer that was decoded exactly is its own reference; a sampled one has
    none.
    """
    if settings.temperature:
        return {}
    without = replace(settings, cache=Choice("none"), record=())
    if settings.autoregressive:
        return {"no_cache": without}
    return {"no_cache": without, "one_by_one": one_by_one(without)}


def one_by_one(settings: Settings) -> Settings:
    """The same (resolved) settings without a cache and with one token per pass; for verified decoding, AR."""
    without = replace(settings, cache=Choice("none"))
    if settings.rule.name == VERIFY:
        return replace(autoregressive(without), attention=settings.attention, cache=Choice("none"))
    score = {"score": settings.rule.options["score"]} if "score" in settings.rule.options else {}
    return replace(without, unmask=Choice("top_k", {"k": 1, **score}))


def exact_settings(settings: Settings, traits: ModelTraits) -> Settings:
    """The exact decoder of these settings: the same blocks and attention, no cache, one token a pass."""
    return resolve(one_by_one(resolve(settings, traits)), traits)


def autoregressive(settings: Settings) -> Settings:
    """The settings of the same request decoded one token at a time."""
    return replace(settings, block_size=1, sub_block_size=None, cache=None, attention=None, unmask=Choice("top_k"))


class References:
    """Reference answers to one prompt. Each is decoded once, for any number of answers that are compared with it."""

    def __init__(self, engine: "Engine", *, item: Item | None = None) -> None:
        """item: the suite's item that has this prompt, if there is one."""
        self.engine, self.item = engine, item
        self._known: dict[str, list[int]] = {}

    def decode(self, trace: Trace) -> Iterator[str]:
        """Decode the references that are missing; yields the name of the reference after each of its passes."""
        settings = Settings.from_json(trace.settings)
        self._known.setdefault(_key(replace(settings, record=())), trace.output)
        for name, reference in reference_settings(settings).items():
            if _key(reference) in self._known:
                continue
            run = self.engine.run(trace.prompt, reference)
            for _ in run:
                yield name
            self._known[_key(reference)] = run.canvas.output

    def gate(self, trace: Trace) -> Gate:
        """The comparison of an answer with those of its references that were decoded."""
        settings = Settings.from_json(trace.settings)
        keys = {name: _key(reference) for name, reference in reference_settings(settings).items()}
        text = "" if self.engine.tokenizer is None else self.engine.tokenizer.decode(trace.output)
        return Gate(
            references={name: self._known[key] for name, key in keys.items() if key in self._known},  # type: ignore[misc]
            log_prob=self.engine.log_prob(trace.prompt, trace.output),
            item=self.item.id if self.item else None,
            right=is_correct(self.item, text) if self.item and self.item.check is not None else None,
        )

    def compared(self, trace: Trace) -> Trace:
        """The trace with this comparison in it."""
        return with_gate(trace, self.gate(trace), self.engine)


def with_gate(trace: Trace, gate: Gate, engine: "Engine") -> Trace:
    """A trace with a comparison in it, and with the text of every token of the references."""
    ids = {i for answer in gate.references.values() for i in answer} - set(trace.pieces)
    pieces, fragments = ({}, {}) if engine.tokenizer is None else engine.tokenizer.texts(ids)
    texts = {"pieces": trace.pieces | pieces, "fragments": (trace.fragments or {}) | fragments or None}
    return trace.model_copy(update={"gate": gate, **texts})


def _key(settings: Settings) -> str:
    """Equal for settings that decode alike: options that are left out count as their defaults."""
    return str({**settings.as_json(), "unmask": settings.rule.build(UNMASKS, "unmask")})


def item_of(prompt: str) -> Item | None:
    """The item of a shipped suite that asks exactly this."""
    return _items().get(prompt.strip())


@cache
def _items() -> dict[str, Item]:
    return {item.prompt: item for path in sorted(SUITES.glob("*.json")) for item in Suite.load(path).items}
