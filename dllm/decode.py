"""The decoder: plan a pass, apply its readout, until the answer is complete. No torch, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from dllm.cache import CACHES, CachePolicy
from dllm.cache.plans import predicts_block_start
from dllm.canvas import Canvas, canvas_length
from dllm.settings import CAUSAL, VERIFY, Choice, Settings, SettingsError
from dllm.step import Plan, Readout, Span, Step
from dllm.unmask import UNMASKS, Candidates, EntropyBound, Unmask

_VERIFIED_CACHES = (None, Choice("none"), Choice("block"))


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """What decoders need to know about a model. mask_id None: autoregressive. attentions: the preferred one first.

    sub_block_cache: whether the sub-block cache is faster on the device (on a CPU, not on a GPU at batch 1).
    multiple: d²Cache rounds the number of queries up to a multiple of this.
    """

    family: str
    vocab: int
    context: int
    shift: int
    attentions: tuple[str, ...]
    mask_id: int | None
    stop_ids: tuple[int, ...]
    sub_block_cache: bool = True
    multiple: int = 1

    @property
    def causal(self) -> bool:
        """Whether the model can also decode autoregressively, and so give the probability of a text."""
        return bool(set(self.attentions) & set(CAUSAL))


def resolve(settings: Settings, traits: ModelTraits) -> Settings:
    """The settings with every None replaced by the model's default.

    Raises:
        SettingsError: a value or a combination that the model does not allow.
    """
    settings = replace(settings, unmask=_rule(settings, traits))
    if settings.rule.name == VERIFY:
        return _verified(settings, traits)
    attention, cache = _attention(settings, traits)
    causal = attention in CAUSAL
    if traits.mask_id is None and settings.block_size != 1:
        raise SettingsError(
            f"block_size is {settings.block_size}; allowed: 1, because {traits.family} is autoregressive"
        )
    if cache is None:
        name = "none" if not causal else "sub_block" if traits.sub_block_cache else "block"
        cache = Choice("block" if settings.block_size == 1 and causal else name)
    if cache.name == "d2" and traits.multiple > 1:
        cache = Choice(cache.name, {"multiple": traits.multiple, **cache.options})
    # under hybrid attention the next tokens go first: a guess kept far ahead of them costs more than it saves
    sizes = (2, 1) if attention == "hybrid" else (8, 4, 2, 1)
    sub = settings.sub_block_size or next(s for s in sizes if settings.block_size % s == 0)
    settings.rule.build(UNMASKS, "unmask")
    return replace(
        settings,
        attention=attention,
        cache=cache,
        sub_block_size=sub if causal else settings.block_size,  # only v2 has sub-blocks
        stop_ids=_stop_ids(settings, traits),
    )


def _rule(settings: Settings, traits: ModelTraits) -> Choice:
    """The unmasking rule as asked, else verified decoding where model and settings allow it, else a threshold."""
    if settings.unmask is not None:
        return settings.unmask
    plain = settings.attention in (None, "hybrid") and settings.block_size > 1 and settings.cache in _VERIFIED_CACHES
    seen = [name for name in settings.record if name != "alternatives"]
    return Choice(VERIFY if plain and not seen and traits.attentions[0] == "hybrid" else "threshold")


def _verified(settings: Settings, traits: ModelTraits) -> Settings:
    """The settings of verified decoding. A pass decides up to one token more than it tests, which is the block."""
    hybrid = "hybrid" in traits.attentions
    if not hybrid:
        raise SettingsError(
            f"unmask is {VERIFY!r}, which tests a model's guesses against its own autoregressive answer; "
            f"allowed: for a model with hybrid attention, and {traits.family} has {', '.join(traits.attentions)}"
        )
    if settings.attention not in (None, "hybrid"):
        raise SettingsError(f"attention is {settings.attention!r}; allowed where unmask is {VERIFY!r}: hybrid")
    cache = settings.cache or Choice("block")
    if cache not in _VERIFIED_CACHES:
        raise SettingsError(f"cache is {cache.name!r}; allowed where unmask is {VERIFY!r}: none, block")
    cache.build(CACHES, "cache")
    if kept := [name for name in settings.record if name != "alternatives"]:
        raise SettingsError(
            f"record holds {kept[0]!r}, which verified decoding does not keep; allowed where unmask is {VERIFY!r}: "
            "alternatives. Any other unmasking rule records it"
        )
    size = settings.rule.build(UNMASKS, "unmask").drafts + 1
    return replace(
        settings,
        attention="hybrid",
        cache=cache,
        block_size=size,
        sub_block_size=size,
        stop_ids=_stop_ids(settings, traits),
    )


def _stop_ids(settings: Settings, traits: ModelTraits) -> tuple[int, ...]:
    stop_ids = traits.stop_ids if settings.stop_ids is None else settings.stop_ids
    if wrong := [i for i in stop_ids if i >= traits.vocab]:
        raise SettingsError(f"stop_ids holds {wrong[0]}; allowed: ids below {traits.vocab}")
    return tuple(stop_ids)


def _attention(settings: Settings, traits: ModelTraits) -> tuple[str, Choice | None]:
    """The attention to decode under: as asked, else as the cache needs, else as the model prefers."""
    cache = settings.cache
    attention = settings.attention or traits.attentions[0]
    if attention not in traits.attentions:
        raise SettingsError(f"attention is {attention!r}; allowed for {traits.family}: {', '.join(traits.attentions)}")
    if cache is None:
        return attention, None
    cache.build(CACHES, "cache")
    suited = CACHES[cache.name].attentions
    if attention not in suited and settings.attention is None:
        attention = next((a for a in traits.attentions if a in suited), attention)
    if attention not in suited:
        allowed = [name for name, policy in CACHES.items() if attention in policy.attentions]
        raise SettingsError(f"cache is {cache.name!r}; allowed under {attention} attention: {', '.join(allowed)}")
    return attention, cache


def _check_prompt(prompt: Sequence[int], settings: Settings, traits: ModelTraits) -> None:
    """Raises SettingsError if the prompt is empty, too long, or has ids outside the vocabulary."""
    if not prompt:
        raise SettingsError("the prompt is empty; allowed: at least one token")
    if wrong := [i for i in prompt if type(i) is not int or not 0 <= i < traits.vocab]:
        raise SettingsError(f"the prompt holds {wrong[0]!r}; allowed: token ids from 0 to {traits.vocab - 1}")
    assert settings.attention is not None
    end = len(prompt) + settings.gen_length
    needed = canvas_length(end, settings.block_size, settings.attention)
    if needed > traits.context:
        rounded = "" if needed == end else f", to the end of a block of {settings.block_size}"
        raise SettingsError(
            f"prompt and answer take {needed} positions ({len(prompt)} + {settings.gen_length}{rounded}); "
            f"allowed: {traits.context}"
        )


def make_canvas(prompt: Sequence[int], settings: Settings, traits: ModelTraits) -> Canvas:
    """An empty canvas for a prompt under resolved settings.

    Raises:
        SettingsError: see `_check_prompt`.
    """
    _check_prompt(prompt, settings, traits)
    assert settings.attention is not None and settings.stop_ids is not None
    return Canvas(
        prompt,
        settings.gen_length,
        block_size=settings.block_size,
        mask_id=traits.vocab if traits.mask_id is None else traits.mask_id,
        shift=traits.shift,
        attention=settings.attention,
        stop_ids=settings.stop_ids,
    )


class Decoder:
    """Decodes one sequence: `while plan := decoder.plan(): step = decoder.apply(answer(plan))`."""

    scratch = 0  # KV cache entries needed besides those of the canvas

    def __init__(self, prompt: Sequence[int], settings: Settings, traits: ModelTraits) -> None:
        """`settings` must be resolved.

        Raises:
            SettingsError: the prompt does not suit the model.
        """
        assert settings.cache is not None and settings.sub_block_size is not None
        self.policy: CachePolicy = settings.cache.build(CACHES, "cache")
        self.unmask: Unmask = settings.rule.build(UNMASKS, "unmask")
        self.canvas = make_canvas(prompt, settings, traits)
        self.sub_block_size = settings.sub_block_size
        self.index = 0
        self._pending: tuple[Plan, Span, Span] | None = None
        self._began = 0.0

    @property
    def needs_rollout(self) -> bool:
        """Whether readouts must carry attention rollout."""
        return self.policy.needs_rollout

    @property
    def needs_entropy(self) -> bool:
        """Whether readouts must carry entropies."""
        return isinstance(self.unmask, EntropyBound) or self.unmask.score == "entropy"

    @property
    def needs_margin(self) -> bool:
        """Whether readouts must carry margins."""
        return self.unmask.score == "margin"

    def plan(self) -> Plan | None:
        """The next forward pass, or None when the answer is written."""
        self._began = perf_counter()
        canvas = self.canvas
        if canvas.stop_reason:
            return None
        first = canvas.written
        block = canvas.block_at(first)
        start = block[0] + (first - block[0]) // self.sub_block_size * self.sub_block_size
        window = (start, min(start + self.sub_block_size, block[1]))
        asked = self._eligible(canvas.masked_in(*window))
        if canvas.block_causal and canvas.shift and first == block[0]:
            asked = [first]  # predicted by the block before; the others can be once it is known
        plan = self.policy.plan(canvas, block, window, asked)
        self._pending = plan, block, window
        return plan

    def apply(self, readout: Readout) -> Step:
        """Commit tokens of a readout.

        Raises:
            RuntimeError: the cache policy reached no mask, so that decoding would never end.
        """
        assert self._pending is not None, "apply() needs a plan()"
        plan, block, window = self._pending
        committed = self._commit(plan, block, window, readout)
        step = Step(self.index, block, window, plan, readout, committed, (), 0.0)
        self.policy.update(step, self.canvas)
        self.index += 1
        self._pending = None
        return replace(step, seconds=perf_counter() - self._began - readout.overhead)

    def _eligible(self, positions: list[int]) -> list[int]:
        """Positions before the stop token; block-causal decoding fills its sub-block to the end."""
        stop = self.canvas.stop_at
        if stop is None or self.canvas.block_causal:
            return positions
        return [p for p in positions if p < stop]

    def _commit(self, plan: Plan, block: Span, window: Span, readout: Readout) -> tuple[int, ...]:
        if not plan.asked:
            return ()
        if predicts_block_start(self.canvas, block, plan.asked):
            chosen = [0]
        else:
            allowed = set(self._eligible([p for p in readout.positions if window[0] <= p < window[1]]))
            inside = [i for i, p in enumerate(readout.positions) if p in allowed]
            if not inside:
                raise RuntimeError(f"cache policy {type(self.policy).__name__} reaches no mask of {window}")
            chosen = [inside[i] for i in self.unmask(self._candidates(readout, inside))]
        for i in chosen:
            self.canvas.commit(readout.positions[i], readout.tokens[i])
        return tuple(sorted(readout.positions[i] for i in chosen))

    def _candidates(self, readout: Readout, inside: list[int]) -> Candidates:
        at = np.asarray(inside)
        start = self.canvas.prompt_length
        entropy = None if readout.entropy is None else np.asarray(readout.entropy)[at]
        score = np.asarray(readout.confidence)[at]
        if self.unmask.score == "entropy":
            assert entropy is not None
            score = np.exp(-entropy)  # 1 / perplexity: the same order as -entropy, but between 0 and 1
        elif self.unmask.score == "margin":
            score = np.asarray(readout.margin)[at]
        known = ~np.frombuffer(self.canvas.masked, dtype=bool)[start:]
        return Candidates(score, entropy, known, np.asarray(readout.positions)[at] - start)
