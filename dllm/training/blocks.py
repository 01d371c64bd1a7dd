"""The objective "blocks": that of Fast-dLLM v2, with masks at random positions of blocks (see `objective`)."""

import random
from collections.abc import Sequence
from concurrent.futures import Executor

import torch
from torch import Tensor

from dllm.models.loader import Model
from dllm.training.config import FULL, Config
from dllm.training.corpus import Corpus
from dllm.training.lora import wrap_for_masks
from dllm.training.noise import Mask, views
from dllm.training.objective import Example, Measure, hidden, pack, score


class Blocks:
    """Masked blocks of sizes drawn by the weights of a config; the size "full" is attention over the whole canvas."""

    def __init__(self, model: Model, config: Config, corpus: Corpus) -> None:
        self.model, self.net, self.config, self.corpus = model, model.net, config, corpus
        self.parameters = wrap_for_masks(self.net, config)
        drawn = {size for size, weight in config.blocks.items() if weight}
        kinds = {"block_causal": bool(drawn - {FULL}), "bidirectional": FULL in drawn}
        self.attentions = tuple(name for name, trained in kinds.items() if trained)

    def loss(self, number: int, *, sharpen: float) -> tuple[Tensor, Measure]:
        """The loss of a micro-batch, summed over its labels, and what it is made of."""
        rng = random.Random(f"{self.config.seed}/{number}")
        sizes, weights = zip(*self.config.blocks.items(), strict=True)
        documents = self.corpus.micro_batch(number)
        drawn = rng.choices(sizes, weights, k=len(documents))
        examples = [self.corpus.example(d, size) for d, size in zip(documents, drawn, strict=True)]
        c, generator = self.config, torch.Generator().manual_seed(rng.getrandbits(63))
        masks = [views(e, generator, complementary=c.complementary, tails=c.tails) for e in examples]
        return self._loss(examples, masks, sharpen=sharpen)

    def measure(self, pool: Executor) -> dict[str, object]:
        """The loss of the held-out documents by kind of mask and block size, with the same masks every time."""
        result: dict[str, dict[str, object]] = {"scattered": {}, "tails": {}}
        rows = self.config.rows
        for size in (size for size, weight in self.config.blocks.items() if weight):
            examples = sorted((self.corpus.example(d, size) for d in self.corpus.held_out), key=lambda e: len(e.ids))
            batches = [examples[i : i + rows] for i in range(0, len(examples), rows)]
            names = [f"{size}/{number}" for number in range(len(batches))]
            for kind, tails in (("scattered", 0.0), ("tails", 1.0)):
                parts = pool.map(self._measured, batches, names, [tails] * len(batches))
                result[kind][size] = sum(parts, Measure()).mean()
        return dict(result)

    @torch.inference_mode()
    def _measured(self, examples: Sequence[Example], name: str, tails: float) -> Measure:
        generator = torch.Generator().manual_seed(random.Random(name).getrandbits(63))
        return self._loss(examples, [views(e, generator, tails=tails) for e in examples], sharpen=0.0)[1]

    def _loss(
        self, examples: Sequence[Example], masks: Sequence[list[Mask]], *, sharpen: float
    ) -> tuple[Tensor, Measure]:
        batch = pack(examples, masks, mask_id=self.config.mask_id).to(self.model.device)
        return score(self.net, hidden(self.net, batch), batch.targets, sharpen=sharpen)
