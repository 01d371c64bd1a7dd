"""Makes training data from the model itself, without anyone else's text.

"own": the base makes up user turns and answers them. "tasks": generated, with right answers (`dllm.training.tasks`).
"answers": the model answers the prompts of existing files. Training on a model's own answers keeps its autoregressive
distribution, so that comparing block diffusion with AR stays fair.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from dllm.models.adapter import merge
from dllm.models.base_model import fetch_base_model
from dllm.models.likelihood import log_probabilities
from dllm.models.loader import Model, load
from dllm.models.tokenizer import Tokenizer
from dllm.training import tasks, topics
from dllm.training.documents import Batch, Document, read_documents, write_documents
from dllm.training.sampling import continue_all, greedy, top_p_pick

KINDS = ("own", "tasks", "answers")
_TASKS_PER_BATCH = 500


@dataclass(frozen=True, slots=True)
class Recipe:
    """How turns and answers are sampled.

    answers: sampled per turn besides the greedy one; the likeliest is kept if its mean log-probability is above
    `least`. 0 by default: greedy is how the page decodes, and deterministic answers can be learnt with certainty, which
    lets several tokens be committed at once.
    """

    turn_temperature: float = 1.0
    turn_top_p: float = 0.95
    turn_limit: int = 40
    answers: int = 0
    answer_temperature: float = 0.6
    answer_top_p: float = 0.9
    answer_limit: int = 96
    least: float = -1.0
    batch: int = 384


@dataclass(frozen=True, slots=True)
class Source:
    """Where documents come from: a kind of `KINDS`, the model, and for "answers" the files of prompts."""

    kind: str = "own"
    base: Path | None = None
    twin: Path | None = None
    prompts: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; allowed: {', '.join(KINDS)}")
        if bool(self.prompts) != (self.kind == "answers"):
            raise ValueError(
                f"kind is {self.kind!r} with {len(self.prompts)} files of prompts; "
                "allowed: one or more with 'answers', none else"
            )


def distill(
    out: Path,
    *,
    source: Source = Source(),
    documents: int = 2000,
    seed: int = 0,
    recipe: Recipe = Recipe(),
    device: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> int:
    """Append to `out` until it holds `documents`, or prompts are used up; returns how many it holds.

    report: called with a line per batch.

    Raises:
        ValueError: the base has no tokenizer, a bad file, or a number out of range.
    """
    base = source.base or fetch_base_model()
    model = load(base, device=device)
    if source.twin is not None:
        model = merge(model, source.twin)
    if (tokenizer := model.tokenizer) is None:
        raise ValueError(f"{base} has no tokenizer, and user turns are text")
    batch: Batch
    match source.kind:
        case "own":
            batch = partial(own, model, tokenizer, recipe, seed)
        case "tasks":
            batch = partial(generated, model, tokenizer, seed)
        case _:
            batch = partial(answered, model, tokenizer, recipe, _prompts(source.prompts, seed))
    return write_documents(out, batch, documents=documents, report=report)


def own(
    model: Model, tokenizer: Tokenizer, recipe: Recipe, seed: int, number: int, seen: Collection[tuple[int, ...]] = ()
) -> Iterator[Document]:
    """One batch: turns made up or drawn, then answered, except those `seen` before; the same for the same arguments."""
    rng = random.Random(f"{seed}/{number}")
    generator = torch.Generator(model.device).manual_seed(rng.getrandbits(63))
    stop = model.stop_ids[0]
    drawn = [topics.draw_topic(rng) for _ in range(recipe.batch)]
    turns = [text for text, complete in drawn if complete]
    if openings := [text for text, complete in drawn if not complete]:
        starts = [tokenizer.encode("<|im_start|>user\n" + text) for text in openings]
        pick = top_p_pick(recipe.turn_temperature, recipe.turn_top_p, generator)
        more = continue_all(model.net, starts, stop_id=stop, limit=recipe.turn_limit, pick=pick)
        for text, ids in zip(openings, more, strict=True):
            if good_turn(turn := text + tokenizer.decode(ids), ended=ids[-1] == stop):
                turns.append(turn.strip())
    chats = [tokenizer.chat(turn) for turn in dict.fromkeys(turns)]
    prompts = [tuple(ids) for ids in chats if tuple(ids) not in seen]
    yield from _answers(model, tokenizer, recipe, prompts, number, generator)


def generated(
    model: Model, tokenizer: Tokenizer, seed: int, number: int, seen: Collection[tuple[int, ...]] = ()
) -> Iterator[Document]:
    """One batch of tasks with right answers, none with a wording or an operand of the suite."""
    rng, fresh = random.Random(f"{seed}/{number}"), set(seen)
    for _ in range(_TASKS_PER_BATCH):
        task = tasks.draw(rng, held_out=False)
        prompt = tuple(tokenizer.chat(task.prompt))
        if prompt not in fresh:
            fresh.add(prompt)
            yield Document(number, prompt, (*tokenizer.encode(task.answer), model.stop_ids[0]))


def answered(
    model: Model,
    tokenizer: Tokenizer,
    recipe: Recipe,
    prompts: Sequence[tuple[int, ...]],
    number: int,
    seen: Collection[tuple[int, ...]] = (),
) -> Iterator[Document] | None:
    """One batch of these prompts, answered greedily; None behind the last."""
    start = number * recipe.batch
    if start >= len(prompts):
        return None
    some = [p for p in prompts[start : start + recipe.batch] if p not in seen]
    return _answers(model, tokenizer, recipe, some, number, None)


def _prompts(files: Sequence[Path], seed: int) -> list[tuple[int, ...]]:
    found = list(dict.fromkeys(d.prompt_ids for file in files for d in read_documents(file)))
    random.Random(seed).shuffle(found)
    return found


def _answers(
    model: Model,
    tokenizer: Tokenizer,
    recipe: Recipe,
    prompts: Sequence[tuple[int, ...]],
    number: int,
    generator: torch.Generator | None,
) -> Iterator[Document]:
    """The best answer to each prompt, where it is good."""
    if not prompts:
        return
    ordered, stop = sorted(prompts, key=len), model.stop_ids[0]
    picks = [greedy]
    if recipe.answers and generator is not None:
        picks += [top_p_pick(recipe.answer_temperature, recipe.answer_top_p, generator)] * recipe.answers
    control = set(tokenizer.backend.all_special_ids)
    best: list[tuple[float, list[int]] | None] = [None] * len(ordered)
    for pick in picks:
        answers = continue_all(model.net, ordered, stop_id=stop, limit=recipe.answer_limit, pick=pick)
        good = [n for n, ids in enumerate(answers) if good_answer(ids, stop_id=stop, control=control)]
        scores = [0.0] * len(good)
        if len(picks) > 1:
            logs = log_probabilities(model.net, [(ordered[n], answers[n]) for n in good])
            scores = [sum(log) / len(log) for log in logs]
        for n, score in zip(good, scores, strict=True):
            if score > recipe.least and (best[n] is None or score > best[n][0]):  # type: ignore[index]
                best[n] = score, answers[n]
    for prompt, found in zip(ordered, best, strict=True):
        if found is not None:
            yield Document(number, prompt, tuple(found[1]))


def good_turn(text: str, *, ended: bool) -> bool:
    """A user turn worth answering: it ended by itself, has two words or more, valid UTF-8, and is not repetitive."""
    words = text.split()
    return ended and len(words) >= 2 and "\ufffd" not in text and not repetition(words)


def good_answer(ids: Sequence[int], *, stop_id: int, control: set[int]) -> bool:
    """Not empty, without control ids except the stop token at its end, and not repetitive.

    An answer that was cut at the limit may be good: the training data need long answers too.
    """
    content = ids[:-1] if ids[-1] == stop_id else ids
    return len(content) >= 1 and not control & set(content) and not repetition(content)


def repetition(items: Sequence[object], *, width: int = 4, share: float = 0.25) -> set[tuple[object, ...]]:
    """The repeated n-grams, if more than `share` of all n-grams occurred before; else nothing."""
    counts = Counter(tuple(items[i : i + width]) for i in range(len(items) - width + 1))
    total = counts.total()
    return {gram for gram, n in counts.items() if n > 1} if total - len(counts) > share * total else set()
