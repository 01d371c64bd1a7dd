"""The objective "ar": teacher forcing on answers. It makes the AR twin of a base."""

from collections.abc import Sequence
from concurrent.futures import Executor

import torch
from torch import Tensor

from dllm.models.loader import Model
from dllm.training.config import Config
from dllm.training.corpus import Corpus
from dllm.training.documents import Document
from dllm.training.lora import wrap
from dllm.training.objective import Measure, score
from dllm.training.rows import PackedSequence, hidden_states


class Autoregressive:
    """Every answer token, its stop token included, predicted from all tokens before it."""

    attentions = ("block_causal",)

    def __init__(self, model: Model, config: Config, corpus: Corpus) -> None:
        self.model, self.net, self.config, self.corpus = model, model.net, config, corpus
        self.parameters = wrap(self.net, rank=config.rank, scale=config.scale, mask_id=None, seed=config.seed)

    def loss(self, number: int, *, sharpen: float) -> tuple[Tensor, Measure]:
        """The loss of a micro-batch, summed over its labels, and what it is made of."""
        return self._loss(self.corpus.micro_batch(number), sharpen)

    def measure(self, pool: Executor) -> dict[str, object]:
        """The loss of the held-out documents."""
        held, rows = self.corpus.held_out, self.config.rows
        batches = [held[i : i + rows] for i in range(0, len(held), rows)]
        return sum(pool.map(self._measured, batches), Measure()).mean()

    @torch.no_grad()
    def _measured(self, documents: Sequence[Document]) -> Measure:
        return self._loss(documents, 0.0)[1]

    def _loss(self, documents: Sequence[Document], sharpen: float) -> tuple[Tensor, Measure]:
        row = PackedSequence.of(documents, self.model.device)
        places = [
            (row.slot(n, p - 1), token)
            for n, d in enumerate(documents)
            for p, token in enumerate(d.answer_ids, len(d.prompt_ids))
        ]
        sources, targets = torch.tensor(places, device=self.model.device).unbind(1)
        return score(self.net, hidden_states(self.net, row)[sources], targets, sharpen=sharpen)
