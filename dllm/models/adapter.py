"""Reads a low-rank adapter and merges it into a base model that stays as it was."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from dllm.models.loader import Model, fill

FORMAT = "blockscope.adapter/1"
MASK = "mask_vector"
KEYS = ("format", "base_sha256", "rank", "scale", "mask_id")
ATTENTIONS = ("block_causal", "bidirectional")


def merge(model: Model, path: str | Path) -> Model:
    """The model that block diffusion decodes: W + scale · B A (computed in fp32) where the adapter has a pair.

    Every other tensor is the base's own storage, so the AR lane beside it costs no memory. LoRA: arXiv 2106.09685.

    Raises:
        ValueError: no such file, another format, an adapter made for another base, or pairs that do not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no adapter {path}")
    with safe_open(path, framework="pt") as file:
        metadata: dict[str, str] = file.metadata() or {}
        pairs = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    if metadata.get("format") != FORMAT or set(KEYS) - set(metadata) or MASK not in pairs:
        raise ValueError(f"{path} is no adapter: its format is {metadata.get('format')!r}; allowed: {FORMAT!r}")
    if model.sha256 != metadata["base_sha256"]:
        raise ValueError(
            f"{path.name} was made for weights with sha256 {metadata['base_sha256']}; {model.id} has {model.sha256}"
        )
    mask_id = int(metadata["mask_id"])
    vector = pairs.pop(MASK)
    weight = model.net.norm.weight
    named = _merged(model, pairs, float(metadata["scale"]))
    net = fill(model.net.shape, named, device=weight.device, dtype=weight.dtype, mask_id=mask_id)
    net.mask_vector = vector.to(weight.device, weight.dtype)
    return replace(model, spec=replace(model.spec, attentions=ATTENTIONS), net=net, mask_id=mask_id)


def _merged(model: Model, pairs: dict[str, Tensor], scale: float) -> Iterator[tuple[str, Tensor]]:
    left = dict(pairs)
    for name, weight in model.net.state_dict().items():
        down, up = name.replace(".weight", ".a"), name.replace(".weight", ".b")
        if down not in left or up not in left:
            yield name, weight
            continue
        a, b = left.pop(down), left.pop(up)
        if (b.shape[0], a.shape[1]) != tuple(weight.shape) or a.shape[0] != b.shape[1]:
            raise ValueError(f"adapter of {name}: {tuple(b.shape)} times {tuple(a.shape)} is not {tuple(weight.shape)}")
        delta = b.to(weight.device, torch.float32) @ a.to(weight.device, torch.float32)
        yield name, (weight.float() + scale * delta).to(weight.dtype)
    if left:
        raise ValueError(f"the adapter has {min(left)!r}, which {model.id} has not, or only half of the pair")
