"""Tiny random networks and engines over them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from dllm.engine import Engine
from dllm.models.families import DREAM, FAST_DLLM_V2, LLADA, LLAMA, ModelSpec, Shape
from dllm.models.linear import LowRank
from dllm.models.loader import Model, tiny

VOCAB, MASK, STOP = 40, 39, 38
CAUSAL, WHOLE = (FAST_DLLM_V2,), (LLADA, DREAM)


def shape_of(spec: ModelSpec, **changes: Any) -> Shape:
    sizes = {"vocab": VOCAB, "hidden": 16, "layers": 2, "heads": 4, "kv_heads": 2, "head_dim": 4, "intermediate": 24}
    more = {"rope_theta": 1e4, "norm_eps": 1e-6, "tied": False, "qkv_bias": spec.qkv_bias, "context": 512}
    return Shape(**{**sizes, **more, **changes})


def engine_of(spec: ModelSpec, seed: int = 0, **changes: Any) -> Engine:
    net = tiny(shape_of(spec, **changes), seed=seed, mask_id=MASK).double()
    return Engine(Model("tiny", spec, net, None if spec.mask_id is None else MASK, (STOP,)))


def prompts(low: int = 1, high: int = 20) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, VOCAB - 2), min_size=low, max_size=high)


def naive_ar(engine: Engine, prompt: list[int], count: int, stop: tuple[int, ...] = ()) -> list[int]:
    """Greedy decoding by the definition: the whole causal forward for every token, no cache."""
    from dllm.models.transformer import rope_table

    net, ids = engine.model.net, list(prompt)
    for _ in range(count):
        n = len(ids)
        mask = torch.ones(n, n, dtype=torch.bool).tril()
        logits = net.head(net(torch.tensor([ids]), rope_table(net.shape, n, torch.device("cpu")), mask=mask))[0, -1]
        if engine.model.mask_id is not None:
            logits[engine.model.mask_id] = -torch.inf
        ids.append(int(logits.argmax()))
        if ids[-1] in stop:
            break
    return ids[len(prompt) :]


def hybrid_engine(seed: int = 0, *, echo: bool = False, vocab: int = VOCAB, std_scale: float = 1.0) -> Engine:
    """A tiny net with an adapter beside it that acts at masks only, in fp64.

    echo: a net whose next token hardly depends on what precedes it, so that masks often guess what AR says.
    """
    spec = replace(LLAMA, attentions=("hybrid",))
    net = tiny(shape_of(LLAMA, vocab=vocab), seed=seed).double()
    generator = torch.Generator().manual_seed(seed)
    for layer in net.layers:
        for product, parts in layer.projections():
            pairs = [
                (
                    torch.randn(3, p.in_features, generator=generator),
                    torch.randn(p.out_features, 3, generator=generator),
                )
                for p in parts
            ]
            product.adapter = LowRank(pairs, [p.out_features for p in parts], 0.0 if echo else 0.1).double()
    if echo:
        with torch.no_grad():
            net.embed.weight.mul_(0.02).add_(torch.randn(1, net.shape.hidden, generator=generator))
    with torch.no_grad():
        net.head.weight.mul_(std_scale)
    net.mask_vector = net.embed.weight.mean(0)
    stop = min(STOP, vocab - 2)
    return Engine(Model("tiny", spec, net, vocab - 1, (stop,)))


def both_engine(seed: int = 0) -> Engine:
    """Like the default model: hybrid attention, and another network for full attention."""
    spec = replace(LLAMA, attentions=("bidirectional",))
    full = Model("full", spec, tiny(shape_of(LLAMA), seed=seed + 100, mask_id=MASK).double(), MASK, (STOP,))
    return Engine(hybrid_engine(seed).model, full=full)


def rollout_matrix(maps: Sequence[torch.Tensor], queries: slice | torch.Tensor) -> torch.Tensor:
    """The whole rollout (visible, visible), rows = outputs: the definition."""
    size = maps[0].shape[-1]
    eye = torch.eye(size, dtype=maps[0].dtype, device=maps[0].device)
    product = eye
    for probs in maps:
        mixed = eye.clone()
        mixed[queries] = probs
        mixed = mixed + eye
        product = (mixed / mixed.sum(-1, keepdim=True)) @ product
    return product
