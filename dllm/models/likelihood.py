"""Log-probabilities of given answers under a causal network."""

from collections.abc import Sequence

import torch

from dllm.models.attention import AttentionMask
from dllm.models.transformer import KVView, Transformer, rope_table

_BATCH_SIZE = 16  # sequences a pass


@torch.inference_mode()
def log_probabilities(net: Transformer, sequences: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[list[float]]:
    """For each (prompt, answer) the AR log-probability in nats of every answer token, given all before it.

    Raises:
        ValueError: an empty prompt, after which the first token has no probability.
    """
    if not all(len(prompt) for prompt, _ in sequences):
        raise ValueError("a prompt is empty; allowed: at least one token")
    out: list[list[float]] = []
    for start in range(0, len(sequences), _BATCH_SIZE):
        out += _group(net, sequences[start : start + _BATCH_SIZE])
    return out


def _group(net: Transformer, sequences: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[list[float]]:
    device = net.device
    whole = [[*prompt, *answer] for prompt, answer in sequences]
    sizes = [len(ids) for ids in whole]
    rope = rope_table(net.shape, max(sizes), device)
    tokens = torch.tensor([[i for ids in whole for i in ids]], device=device)
    views = [KVView(AttentionMask(torch.ones(n, n, dtype=torch.bool, device=device).tril())) for n in sizes]
    states = net.forward_varlen(tokens, torch.cat([rope[:, :n] for n in sizes], dim=1), views, sizes)[0].split(sizes)
    out = []
    for (prompt, answer), hidden in zip(sequences, states, strict=True):
        log_probs = net.logits(hidden[len(prompt) - 1 : -1]).float().log_softmax(-1)
        out.append(log_probs.gather(-1, torch.tensor(answer, device=device).long()[:, None])[:, 0].tolist())
    return out
