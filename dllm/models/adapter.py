"""Low-rank adapters: merged into a copy of the base model, or attached so that they act at masks only."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from dllm.models.checkpoint import sha256_of
from dllm.models.linear import LowRank
from dllm.models.loader import Model, build_network
from dllm.models.transformer import Transformer

FORMAT = "blockscope.adapter/1"
MASK = "mask_vector"
_KEYS = ("format", "base_sha256", "rank", "scale")
AR, HYBRID = ("block_causal",), ("hybrid",)
_UNSTATED_ATTENTIONS = ("block_causal", "bidirectional")  # of files that do not say


@dataclass(frozen=True, slots=True)
class Adapter:
    """A file's numbers. pairs: `layers.N.q.a` (rank, in) and `.b` (out, rank); attentions: what it was trained for.

    mask_id, vector: the mask token and its embedding; None in an adapter that makes an AR model of an AR model.
    """

    pairs: dict[str, Tensor]
    scale: float
    attentions: tuple[str, ...]
    mask_id: int | None
    vector: Tensor | None

    @classmethod
    def read(cls, path: Path, *, sha256: str | None) -> "Adapter":
        """Read a file made for a base with this sha256.

        Raises:
            ValueError: no such file, another format, no pairs, or an adapter made for another base.
        """
        if not path.is_file():
            raise ValueError(f"there is no adapter {path}")
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            pairs = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        whole = ("mask_id" in metadata) == (MASK in pairs)
        if metadata.get("format") != FORMAT or set(_KEYS) - set(metadata) or not whole:
            raise ValueError(f"{path} is no adapter: its format is {metadata.get('format')!r}; allowed: {FORMAT!r}")
        if not set(pairs) - {MASK}:
            raise ValueError(f"{path.name} changes no layer; allowed: at least one pair of matrices")
        if sha256 != metadata["base_sha256"]:
            raise ValueError(f"{path.name} was made for weights with sha256 {metadata['base_sha256']}, not {sha256}")
        attentions = tuple(json.loads(metadata["attentions"])) if "attentions" in metadata else _UNSTATED_ATTENTIONS
        vector = pairs.pop(MASK, None)
        mask_id = None if vector is None else int(metadata["mask_id"])
        return cls(pairs, float(metadata["scale"]), attentions, mask_id, vector)


def merge(model: Model, path: str | Path) -> Model:
    """The model with W + scale · B A (computed in fp32) where the adapter has a pair. LoRA: arXiv 2106.09685.

    An adapter without a mask makes an AR model again, whose sha256 is of both. Every tensor without a pair is the
    base's own storage.

    Raises:
        ValueError: see `Adapter.read`; or pairs that do not fit.
    """
    path = Path(path)
    adapter = Adapter.read(path, sha256=model.sha256)
    net = _rebuilt(model, _merged(model, adapter), adapter, mask_id=adapter.mask_id)
    if adapter.vector is None:
        both = hashlib.sha256(f"{model.sha256} {sha256_of(path)}".encode()).hexdigest()
        return replace(model, net=net, sha256=both)
    return replace(model, spec=replace(model.spec, attentions=adapter.attentions), net=net, mask_id=adapter.mask_id)


def attach(model: Model, path: str | Path) -> Model:
    """The model with the adapter beside its weights, which acts at masks only: hybrid attention.

    At every other token the network is the base, bit by bit; all weights are the base's own storage.

    Raises:
        ValueError: see `Adapter.read`; an adapter that was not trained for that, or pairs that do not fit.
    """
    path = Path(path)
    adapter = Adapter.read(path, sha256=model.sha256)
    if adapter.attentions != HYBRID or adapter.vector is None:
        raise ValueError(f"{path.name} is for {', '.join(adapter.attentions)} attention; allowed: {HYBRID[0]}")
    # a prompt may hold the mask's id, which is a token like any other there: masks are where a pass says
    net = _rebuilt(model, model.net.state_dict().items(), adapter, mask_id=None)
    dtype = torch.promote_types(net.dtype, torch.float32) if net.device.type == "cpu" else net.dtype
    names, left = {module: name for name, module in net.named_modules()}, dict(adapter.pairs)
    for layer in net.layers:
        for product, parts in layer.projections():  # type: ignore[operator]
            pairs = [_pair(left, names[part], part.weight) for part in parts]
            if any(pair is not None for pair in pairs):
                low_rank = LowRank(pairs, [part.out_features for part in parts], adapter.scale)
                product.adapter = low_rank.to(net.device, dtype)
    _all_used(left, model)
    spec = replace(model.spec, attentions=adapter.attentions)
    return replace(model, spec=spec, net=net, mask_id=adapter.mask_id)


def _rebuilt(
    model: Model, named: Iterable[tuple[str, Tensor]], adapter: Adapter, *, mask_id: int | None
) -> Transformer:
    """A network of the model's shape with these weights and the adapter's embedding of the mask."""
    base = model.net
    net = build_network(base.shape, named, device=base.device, dtype=base.dtype, mask_id=mask_id)
    net.mask_vector = None if adapter.vector is None else adapter.vector.to(base.device, base.dtype)
    return net


def _merged(model: Model, adapter: Adapter) -> Iterator[tuple[str, Tensor]]:
    left = dict(adapter.pairs)
    for name, weight in model.net.state_dict().items():
        pair = _pair(left, name.removesuffix(".weight"), weight)
        if pair is None:
            yield name, weight
            continue
        a, b = (t.to(weight.device, torch.float32) for t in pair)
        yield name, (weight.float() + adapter.scale * (b @ a)).to(weight.dtype)
    _all_used(left, model)


def _pair(left: dict[str, Tensor], name: str, weight: Tensor) -> tuple[Tensor, Tensor] | None:
    """A and B of a linear map, taken out of `left`; None where it has none."""
    if f"{name}.a" not in left or f"{name}.b" not in left:
        return None
    a, b = left.pop(f"{name}.a"), left.pop(f"{name}.b")
    if (b.shape[0], a.shape[1]) != tuple(weight.shape) or a.shape[0] != b.shape[1]:
        raise ValueError(f"adapter of {name}: {tuple(b.shape)} times {tuple(a.shape)} is not {tuple(weight.shape)}")
    return a, b


def _all_used(left: dict[str, Tensor], model: Model) -> None:
    if left:
        raise ValueError(f"the adapter has {min(left)!r}, which {model.id} has not, or only half of the pair")
