"""Training data from the base model itself: it makes up user turns and answers them.

Training on a model's own answers keeps its autoregressive distribution, so that "does block diffusion say what AR
says?" stays a fair question. Batches are seeded one by one: a run that was cut off goes on as if it had not been.
"""

import gzip
import json
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dllm.models.fetch import fetch_base
from dllm.models.loader import Model, load
from dllm.models.tokenizer import Tokenizer
from dllm.training import topics
from dllm.training.sampling import continue_all, greedy, nucleus


@dataclass(frozen=True, slots=True)
class Document:
    """One conversation.

    `prompt_ids` up to the assistant's turn; `answer_ids` with the id that ends it, unless it was cut at the limit.
    """

    batch: int
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How turns are sampled. `greedy_share`: batches answered at temperature 0.

    All of them by default: that is how the page decodes, and what follows from the prompt alone can be learnt surely,
    which is what lets several tokens be committed at once.
    """

    turn_temperature: float = 1.0
    turn_top_p: float = 0.95
    turn_limit: int = 40
    answer_temperature: float = 0.6
    answer_top_p: float = 0.9
    answer_limit: int = 96
    greedy_share: float = 1.0
    batch: int = 384


def main(
    out: Path,
    *,
    base: Path | None = None,
    documents: int = 2000,
    seed: int = 0,
    recipe: Recipe | None = None,
    device: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> int:
    """Append to `out` (JSON lines) until it holds `documents`; returns how many it holds.

    An existing file is continued; its last batch, which may be torn, is written again. `base` None: the embedded one.
    `report` gets a line per batch.

    Raises:
        ValueError: the base has no tokenizer, or a number out of range.
    """
    base = base or fetch_base()
    model = load(base, device=device)
    if model.tokenizer is None:
        raise ValueError(f"{base} has no tokenizer, and user turns are text")
    return write(
        out, model, tokenizer=model.tokenizer, documents=documents, seed=seed, recipe=recipe or Recipe(), report=report
    )


def write(
    out: Path,
    model: Model,
    *,
    tokenizer: Tokenizer,
    documents: int,
    seed: int,
    recipe: Recipe,
    report: Callable[[str], None] = lambda line: None,
) -> int:
    """`main` with a model at hand."""
    if documents < 1:
        raise ValueError(f"documents is {documents}; allowed: 1 or more")
    done = _resume(out)
    seen = {d.prompt_ids for d in done}
    count, number = len(done), done[-1].batch + 1 if done else 0
    with out.open("a") as file:
        while count < documents:
            fresh = list(batch(model, tokenizer, recipe, seed=seed, number=number, seen=seen))
            seen.update(d.prompt_ids for d in fresh)
            file.write("".join(json.dumps(_record(d)) + "\n" for d in fresh))
            file.flush()
            count, number = count + len(fresh), number + 1
            report(f"batch {number}: {len(fresh)} documents, {count} of {documents}")
    return count


def read(path: Path) -> list[Document]:
    """Every document of a file, which may be packed (.gz).

    Raises:
        ValueError: a line that is not a document; says which.
    """
    documents = []
    raw = path.read_bytes()
    text = gzip.decompress(raw).decode() if path.suffix == ".gz" else raw.decode()
    for number, line in enumerate(text.splitlines(), 1):
        try:
            d = json.loads(line)
            documents.append(Document(d["batch"], tuple(d["prompt_ids"]), tuple(d["answer_ids"])))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} line {number} is not a document: {error}") from None
    return documents


def batch(
    model: Model,
    tokenizer: Tokenizer,
    recipe: Recipe,
    *,
    seed: int,
    number: int,
    seen: Collection[tuple[int, ...]] = (),
) -> Iterator[Document]:
    """One batch: turns made up or drawn, then answered, those `seen` before left out.

    The same seed, number and `seen` give the same documents.
    """
    rng = random.Random(f"{seed}/{number}")
    generator = torch.Generator(model.device).manual_seed(rng.getrandbits(63))
    stop = model.stop_ids[0]
    drawn = [topics.draw(rng) for _ in range(recipe.batch)]
    turns = [text for text, whole in drawn if whole]
    if openings := [text for text, whole in drawn if not whole]:
        starts = [tokenizer.encode("<|im_start|>user\n" + text) for text in openings]
        pick = nucleus(recipe.turn_temperature, recipe.turn_top_p, generator)
        more = continue_all(model.net, starts, stop_id=stop, limit=recipe.turn_limit, pick=pick)
        for text, ids in zip(openings, more, strict=True):
            if good_turn(turn := text + tokenizer.decode(ids), ended=ids[-1] == stop):
                turns.append(turn.strip())
    chats = [tokenizer.chat(turn) for turn in dict.fromkeys(turns)]
    prompts = sorted((ids for ids in chats if tuple(ids) not in seen), key=len)
    pick = greedy
    if rng.random() >= recipe.greedy_share:
        pick = nucleus(recipe.answer_temperature, recipe.answer_top_p, generator)
    answers = continue_all(model.net, prompts, stop_id=stop, limit=recipe.answer_limit, pick=pick) if prompts else []
    control = set(tokenizer.backend.all_special_ids)
    for prompt, answer in zip(prompts, answers, strict=True):
        if good_answer(answer, stop_id=stop, control=control):
            yield Document(number, tuple(prompt), tuple(answer))


def good_turn(text: str, *, ended: bool) -> bool:
    """A user turn worth answering: it ended by itself and has two words or more, all in readable characters."""
    return ended and len(text.split()) >= 2 and "\ufffd" not in text and len(repetition(text.split())) == 0


def good_answer(ids: Sequence[int], *, stop_id: int, control: set[int]) -> bool:
    """An answer that says something, holds no control id but the last, and does not go in circles.

    One that was cut at the limit is as good: a writer of long answers has to be learnt from too.
    """
    said = ids[:-1] if ids[-1] == stop_id else ids
    return len(said) >= 1 and not control & set(said) and not repetition(said)


def repetition(items: Sequence[object], *, width: int = 4, share: float = 0.25) -> set[tuple[object, ...]]:
    """The n-grams that came before, if they are more than `share` of all; else nothing."""
    grams = [tuple(items[i : i + width]) for i in range(len(items) - width + 1)]
    repeats = len(grams) - len(set(grams))
    return {g for g in grams if grams.count(g) > 1} if repeats > share * len(grams) else set()


def _record(document: Document) -> dict[str, object]:
    return {"batch": document.batch, "prompt_ids": document.prompt_ids, "answer_ids": document.answer_ids}


def _resume(out: Path) -> list[Document]:
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        return []
    lines = out.read_text().splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    batches = [json.loads(line)["batch"] for line in lines]
    kept = [line for line, number in zip(lines, batches, strict=True) if number != batches[-1]]
    # a whole new file takes the old one's place, so that being cut off here loses nothing either
    fresh = out.with_suffix(".part")
    fresh.write_text("".join(kept))
    fresh.replace(out)
    return read(out)
