"""The judge of answers: what exact decoders would have written, and what the AR network finds of what was written."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from dllm.settings import VERIFY, Choice, Settings
from dllm.suite import SUITES, Item, Suite, passes
from dllm.trace import Gate, Trace
from dllm.unmask import UNMASKS

if TYPE_CHECKING:
    from dllm.engine import Engine


def references(settings: Settings) -> dict[str, Settings]:
    """The exact decoders that an answer decoded with these (resolved) settings is held against; see `Gate`.

    AR commits one token a pass anyway. An answer that was decoded exactly is its own reference; one that was drawn by
    chance has none.
    """
    if settings.temperature:
        return {}
    without = replace(settings, cache=Choice("none"), record=())
    if settings.autoregressive:
        return {"no_cache": without}
    return {"no_cache": without, "one_by_one": one_by_one(without)}


def one_by_one(settings: Settings) -> Settings:
    """What decodes as these (resolved) settings do, without a cache and one token a pass; of verified decoding, AR."""
    without = replace(settings, cache=Choice("none"))
    if settings.rule.name == VERIFY:
        return replace(autoregressive(without), attention=settings.attention, cache=Choice("none"))
    score = {"score": settings.rule.options["score"]} if "score" in settings.rule.options else {}
    return replace(without, unmask=Choice("top_k", {"k": 1, **score}))


def autoregressive(settings: Settings) -> Settings:
    """The same request decoded one token at a time."""
    return replace(settings, block_size=1, sub_block_size=None, cache=None, attention=None, unmask=Choice("top_k"))


class Judge:
    """Judges answers to one prompt. A reference is decoded once, however many answers are held against it."""

    def __init__(self, engine: "Engine", *, item: Item | None = None) -> None:
        """item: the prompt's, where it is of a suite."""
        self.engine, self.item = engine, item
        self._known: dict[str, list[int]] = {}

    def judge(self, trace: Trace) -> Iterator[str]:
        """Decode what is missing; yields after every pass which reference is being decoded. Then `gate` knows."""
        settings = Settings.from_json(trace.settings)
        self._known.setdefault(_key(replace(settings, record=())), trace.output)
        for name, reference in references(settings).items():
            if _key(reference) in self._known:
                continue
            run = self.engine.run(trace.prompt, reference)
            for _ in run:
                yield name
            self._known[_key(reference)] = run.canvas.output

    def gate(self, trace: Trace) -> Gate:
        """What there is to say of an answer, with those of its references that are known."""
        settings = Settings.from_json(trace.settings)
        text = "" if self.engine.tokenizer is None else self.engine.tokenizer.decode(trace.output)
        return Gate(
            references={  # type: ignore[misc]
                name: self._known[key] for name, s in references(settings).items() if (key := _key(s)) in self._known
            },
            log_prob=self.engine.log_prob(trace.prompt, trace.output),
            item=self.item.id if self.item else None,
            right=passes(self.item, text) if self.item and self.item.check is not None else None,
        )

    def judged(self, trace: Trace) -> Trace:
        """The trace with its gate."""
        return with_gate(trace, self.gate(trace), self.engine)


def with_gate(trace: Trace, gate: Gate, engine: "Engine") -> Trace:
    """A trace with a gate, and the names of all tokens that stand in it."""
    ids = {i for answer in gate.references.values() for i in answer} - set(trace.pieces)
    fresh, parts = dict[int, str](), dict(trace.fragments or {})
    if engine.tokenizer is not None:
        fresh = {i: engine.tokenizer.piece(i) for i in sorted(ids)}
        parts |= {i: part.hex() for i in sorted(ids) if (part := engine.tokenizer.fragment(i))}
    pieces = {"pieces": {**trace.pieces, **fresh}, "fragments": parts or None}
    return trace.model_copy(update={"gate": gate, **pieces})


def _key(settings: Settings) -> str:
    """Settings that decode alike have one key: a rule's options count also where they are left at their defaults."""
    return str({**settings.as_json(), "unmask": settings.rule.build(UNMASKS, "unmask")})


def item_of(prompt: str) -> Item | None:
    """The item of a shipped suite that asks exactly this."""
    return _items().get(prompt.strip())


@cache
def _items() -> dict[str, Item]:
    return {item.prompt: item for path in sorted(SUITES.glob("*.json")) for item in Suite.load(path).items}
