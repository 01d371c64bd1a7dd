"""Many continuations at once with a causal network: left-padded rows, one KV cache, rows dropped as they end."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dllm.models.kv_cache import KVCache
from dllm.models.transformer import Transformer, rope_table

_CANDIDATES = 128  # the nucleus is taken from the best 128: sorting a vocabulary costs more than a pass
_DROP_EVERY = 8  # steps between two removals of ended rows; each copies the cache

Pick = Callable[[Tensor], Tensor]  # logits (rows, vocab) in fp32 → ids (rows,)


def greedy(logits: Tensor) -> Tensor:
    """The best id of each row."""
    return logits.argmax(-1)


def top_p_pick(temperature: float, top_p: float, generator: torch.Generator) -> Pick:
    """A pick that samples within the smallest set whose probability reaches top_p (Holtzman et al., 1904.09751)."""
    if not temperature > 0 or not 0 < top_p <= 1:
        raise ValueError(f"temperature {temperature} and top_p {top_p}; allowed: above 0, and above 0 up to 1")

    def pick(logits: Tensor) -> Tensor:
        best, ids = logits.topk(min(_CANDIDATES, logits.shape[-1]))
        probs = (best / temperature).softmax(-1)
        probs = probs.masked_fill(probs.cumsum(-1) - probs > top_p, 0.0)
        return ids.gather(-1, torch.multinomial(probs, 1, generator=generator)).squeeze(-1)

    return pick


@torch.inference_mode()
def continue_all(
    net: Transformer, prompts: Sequence[Sequence[int]], *, stop_id: int, limit: int, pick: Pick
) -> list[list[int]]:
    """What follows each prompt, up to and with stop_id, at most `limit` ids.

    Rows are padded on the left. Rotary attention knows distances only, so a row shifted to the right equals itself
    alone; its padding is masked.

    Raises:
        ValueError: an empty prompt, or a limit below 1.
    """
    if limit < 1 or not all(prompts):
        raise ValueError(f"limit is {limit}, shortest prompt {min(map(len, prompts))} ids; allowed: 1 or more of each")
    device, width = net.norm.weight.device, max(map(len, prompts))
    rope = rope_table(net.shape, width + limit, device)
    cache = KVCache.empty(net.shape, width + limit, batch=len(prompts), dtype=net.norm.weight.dtype, device=device)
    padding = torch.tensor([width - len(p) for p in prompts], device=device)
    real = torch.arange(width + limit, device=device) >= padding[:, None]
    causal = torch.ones(width, width, dtype=torch.bool, device=device).tril()
    # a padding position looks at itself: a softmax over nothing would be NaN and spread through the cache
    mask = real[:, None, None, :width] & causal | torch.eye(width, dtype=torch.bool, device=device)
    tokens = torch.tensor([[stop_id] * (width - len(p)) + list(p) for p in prompts], device=device)
    hidden = net(tokens, rope[:, :width], mask=mask, cache=cache, at=slice(0, width), visible=width)
    rows, out = list(range(len(prompts))), [list[int]() for _ in prompts]
    for at in range(width, width + limit):
        chosen = pick(net.head(hidden[:, -1]).float())
        for row, token in zip(rows, chosen.tolist(), strict=True):
            if out[row][-1:] != [stop_id]:
                out[row].append(token)
        if at % _DROP_EVERY == 0:
            keep = [i for i, row in enumerate(rows) if out[row][-1] != stop_id]
            if not keep:
                break
            if len(keep) < len(rows):
                rows, chosen, real = [rows[i] for i in keep], chosen[keep], real[keep]
                cache.keys, cache.values = cache.keys[:, keep], cache.values[:, keep]
        here = slice(at, at + 1)
        view = real[:, None, None, : at + 1]
        hidden = net(chosen[:, None], rope[:, here], mask=view, cache=cache, at=here, visible=at + 1)
    return out
