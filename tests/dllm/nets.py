"""Tiny random networks and engines over them."""

from typing import Any

import torch
from hypothesis import strategies as st

from dllm.engine import Engine
from dllm.models.families import DREAM, FAST_DLLM_V2, LLADA, ModelSpec, Shape
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
