"""Documents cut into examples, and the order in which training visits them."""

import random
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path

from dllm.training.config import FULL, Config
from dllm.training.documents import Document, read_documents
from dllm.training.objective import Example

CANVAS = 32  # a full-attention canvas is a multiple of this many positions
_POOL = 32  # micro-batches among which documents are sorted by length


class Corpus:
    """All documents of a config: the first `held_out` of a seeded shuffle are measured, the others trained on."""

    def __init__(self, config: Config, *, stop_id: int, excluded: Collection[tuple[int, ...]] = ()) -> None:
        """excluded: prompts of evaluation suites, whose documents are left out."""
        self.config, self.stop_id = config, stop_id
        # an answer without an end is cut to whole blocks, of which there must be one
        blocks = [int(size) for size, weight in config.blocks.items() if size != FULL and weight]
        self._widest = max(CANVAS, *blocks, 0) if config.objective == "blocks" else 1
        found = dict.fromkeys(d for name in config.data for d in read_documents(Path(name).expanduser()))
        unique = {d.prompt_ids: d for d in found if d.prompt_ids not in excluded}
        usable = [d for d in unique.values() if self._usable(d)]
        random.Random(config.seed).shuffle(usable)
        self.held_out, self.documents = usable[: config.held_out], usable[config.held_out :]
        if len(self.documents) < config.rows:
            raise ValueError(
                f"{', '.join(config.data)}: {len(usable)} documents of at most {config.longest} ids; "
                f"allowed: {config.held_out + config.rows} or more, as many as are held out and in one micro-batch"
            )
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def micro_batch(self, number: int) -> list[Document]:
        """The documents of micro-batch `number`, counted over all epochs."""
        epoch, place = divmod(number, len(self.documents) // self.config.rows)
        return self._order(epoch)[place]

    def example(self, document: Document, size: str) -> Example:
        """A document for one block size. Masks are aligned to multiples of the block from position 0, as in decoding.

        The stop token is repeated to the end of its block. An answer without one is cut to whole blocks.
        """
        prompt, ids = len(document.prompt_ids), list(document.prompt_ids + document.answer_ids)
        unit = CANVAS if size == FULL else int(size)
        length = -(-len(ids) // unit) * unit if self._ended(document) else len(ids) // unit * unit
        ids = (ids + [self.stop_id] * (length - len(ids)))[:length]
        labelled = tuple(p >= prompt for p in range(length))
        return Example(tuple(ids), labelled, length if size == FULL else unit)

    def _ended(self, document: Document) -> bool:
        return document.answer_ids[-1] == self.stop_id

    def _usable(self, document: Document) -> bool:
        ids = len(document.prompt_ids) + len(document.answer_ids)
        return ids <= self.config.longest and (self._ended(document) or len(document.answer_ids) >= self._widest)

    def _shuffled(self, epoch: int) -> Sequence[list[Document]]:
        rng, rows = random.Random(f"{self.config.seed}/{epoch}"), self.config.rows
        order = rng.sample(self.documents, len(self.documents) // rows * rows)
        batches: list[list[Document]] = []
        # rows of "blocks" are padded to the longest, so they should be of one length; other micro-batches should
        # take the same time, so they are mixed
        together = rows * (_POOL if self.config.objective == "blocks" else 1)
        for start in range(0, len(order), together):
            pool = sorted(order[start : start + together], key=lambda d: len(d.prompt_ids) + len(d.answer_ids))
            batches += [pool[i : i + rows] for i in range(0, len(pool), rows)]
        rng.shuffle(batches)
        return batches
