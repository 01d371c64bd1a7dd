"""The objective "blocks": Fast-dLLM v2's, masks scattered over blocks that see each other whole."""

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from dllm.models.loader import Model
from dllm.training.config import FULL, Config
from dllm.training.corpus import Corpus, ParallelMap
from dllm.training.lora import wrap_for_masks
from dllm.training.noise import Mask, views
from dllm.training.objective import Example, Measure, pack, total_loss


class Blocks:
    """Masked blocks of the sizes that a config draws, full attention among them."""

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

    def measure(self, run: ParallelMap) -> dict[str, object]:
        """The held-out documents by kind of mask and block size, with the same masks every time."""
        result: dict[str, object] = {}
        for kind, tails in (("scattered", 0.0), ("tails", 1.0)):
            sizes: dict[str, object] = {}
            for size in (size for size, weight in self.config.blocks.items() if weight):
                examples = sorted(
                    (self.corpus.example(d, size) for d in self.corpus.held_out), key=lambda e: len(e.ids)
                )
                groups = [
                    (examples[i : i + self.config.rows], f"{size}/{i // self.config.rows}", tails)
                    for i in range(0, len(examples), self.config.rows)
                ]
                sizes[size] = sum(run(self._measured, groups), Measure()).mean()
            result[kind] = sizes
        return result

    def _measured(self, group: tuple[list[Example], str, float]) -> Measure:
        examples, name, tails = group
        generator = torch.Generator().manual_seed(random.Random(name).getrandbits(63))
        with torch.inference_mode():
            return self._loss(examples, [views(e, generator, tails=tails) for e in examples])[1]

    def _loss(
        self, examples: Sequence[Example], masks: Sequence[list[Mask]], *, sharpen: float = 0.0
    ) -> tuple[Tensor, Measure]:
        batch = pack(examples, masks, mask_id=self.config.mask_id).to(self.model.device)
        return total_loss(self.net, batch, sharpen=sharpen)
