"""Loads a network from a Hugging Face folder, a GGUF file, or a hub name with a pinned revision.

Safetensors and GGUF only: nothing is unpickled and no code of a checkpoint runs. The network is built on the meta
device and tensors are read one by one, so no weight is held twice. On a CPU weights of the same dtype are mapped.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dllm.models.checkpoint import read_tensors, sha256_of, stored_dtype, weight_files
from dllm.models.families import FAMILIES, GGUF_FAMILIES, ModelSpec, Shape
from dllm.models.progress import Progress
from dllm.models.transformer import Transformer

if TYPE_CHECKING:
    from dllm.models.gguf_file import GGUFFile
    from dllm.models.tokenizer import Tokenizer

_TOKENIZER_FILES = ("tokenizer.json", "vocab.json")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded network with its family, tokenizer and ids. sha256: of the weights' bytes, file by file."""

    id: str
    spec: ModelSpec
    net: Transformer
    mask_id: int | None
    stop_ids: tuple[int, ...]
    sha256: str | None = None
    tokenizer: "Tokenizer | None" = None

    @property
    def dtype(self) -> str:
        """The weights' dtype, as named in `DTYPES`."""
        return str(self.net.dtype).removeprefix("torch.")

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.net.device

    @property
    def parameters(self) -> int:
        """Number of parameters; a tied head counts once."""
        return sum(p.numel() for p in self.net.parameters())


def choose_device(device: str | None, dtype: str | None, *, stored: torch.dtype) -> tuple[torch.device, torch.dtype]:
    """Choose device (default: CUDA if there is one) and dtype (default: bfloat16; float32 if stored or emulated so).

    Raises:
        ValueError: an unknown dtype or device, or a device that this machine does not have.
    """
    if dtype is not None and dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; allowed: {', '.join(DTYPES)}")
    if device not in (None, "cpu") and not re.fullmatch(r"cuda(:\d+)?", device):
        raise ValueError(f"device is {device!r}; allowed: cpu, cuda, cuda:N")
    if device is not None and device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {device!r}, but this machine has no CUDA device; allowed: cpu")
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if dtype is not None:
        return place, DTYPES[dtype]
    if stored == torch.float32:
        return place, torch.float32
    native = place.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return place, torch.bfloat16 if native else torch.float32


def load(
    source: str | Path, *, device: str | None = None, dtype: str | None = None, progress: Progress | None = None
) -> Model:
    """Load a folder, a `.gguf` file, or `organisation/name@revision` from the hub (its cache is used when offline).

    Raises:
        ValueError: no such source, an unknown model_type, or tensors that do not fit.
        OSError: the hub does not have it, or cannot be reached.
    """
    path = Path(source)
    if path.is_file() and path.suffix == ".gguf":
        return _load_gguf(path, device, dtype)
    if path.is_dir():
        return _load_folder(path, device, dtype, progress)
    if match := re.fullmatch(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})", str(source)):
        from dllm.models.hub import fetch_checkpoint  # importing the hub's client takes a while

        folder = fetch_checkpoint(match[1], match[2], progress)
        return replace(_load_folder(folder, device, dtype, progress), id=f"{match[1]}@{folder.name}")
    raise ValueError(
        f"model is {str(source)!r}; allowed: a folder with config.json, a .gguf file, a name from "
        "`python -m dllm models`, or organisation/name@<40-digit commit>"
    )


def _load_folder(path: Path, device: str | None, dtype: str | None, progress: Progress | None) -> Model:
    try:
        config: dict[str, Any] = json.loads((path / "config.json").read_text())
    except FileNotFoundError:
        raise ValueError(f"{path} has no config.json") from None
    spec = FAMILIES.get(config.get("model_type", ""))
    if spec is None:
        raise ValueError(f"model_type is {config.get('model_type')!r}; allowed: {', '.join(FAMILIES)}")
    files = weight_files(path)
    stored = torch.float32 if stored_dtype(files[0]) == "F32" else torch.bfloat16
    place, kind = choose_device(device, dtype, stored=stored)
    mask_id = config.get("mask_token_id", spec.mask_id)
    shape = spec.shape(config)
    named = read_tensors(files, place, rename=spec.tensor_name, progress=progress)
    net = build_network(shape, named, device=place, dtype=kind, mask_id=mask_id)
    if mask_id is not None and not 0 <= mask_id < shape.vocab:
        raise ValueError(f"mask_token_id is {mask_id}; allowed: below the vocabulary's {shape.vocab}")
    stops = _stops(config.get("eos_token_id"), spec, shape.vocab)
    tokenizer = _tokenizer(path, replace(spec, mask_id=mask_id))
    return Model(path.name, spec, net, mask_id, stops, sha256_of(*files), tokenizer)


def _stops(eos: int | list[int] | None, spec: ModelSpec, vocab: int) -> tuple[int, ...]:
    """The config's ids, and where they are the family's: all of those, as LLaDA's and Dream's name no end of a turn."""
    own = (eos,) if isinstance(eos, int) else tuple(eos or ())
    stops = own if own and not set(own) & set(spec.stop_ids) else tuple(dict.fromkeys((*spec.stop_ids, *own)))
    return tuple(i for i in stops if i < vocab)  # a test net's vocabulary is smaller


def _load_gguf(path: Path, device: str | None, dtype: str | None) -> Model:
    from dllm.models.gguf_file import GGUFFile  # the package costs 0.2 s to import

    file = GGUFFile(path)
    spec = GGUF_FAMILIES.get(file.architecture)
    if spec is None:
        raise ValueError(f"{path.name} holds a {file.architecture!r} model; allowed: {', '.join(GGUF_FAMILIES)}")
    place, kind = choose_device(device, dtype, stored=torch.bfloat16)
    shape = spec.shape(file.config())
    named = ((spec.tensor_name(name), tensor) for name, tensor in file.tensors())
    net = build_network(shape, named, device=place, dtype=kind)
    return Model(path.stem, spec, net, None, (file.eos_id,), sha256_of(path), _tokenizer(file, spec))


def build_network(
    shape: Shape,
    named: Iterable[tuple[str, Tensor]],
    *,
    device: torch.device,
    dtype: torch.dtype,
    mask_id: int | None = None,
) -> Transformer:
    """A network with these weights; a tied head shares the embedding's storage.

    Raises:
        ValueError: a tensor is unknown, missing, or of another shape.
    """
    with torch.device("meta"):
        net = Transformer(shape, mask_id=mask_id)
    wanted = {name: p.shape for name, p in net.named_parameters()}
    weights: dict[str, Tensor] = {}
    for name, tensor in named:
        if name == "head.weight" and shape.tied:
            continue
        if name not in wanted or tensor.shape != wanted[name]:
            allowed = tuple(wanted[name]) if name in wanted else "not a part of this family"
            raise ValueError(f"tensor {name!r} {tuple(tensor.shape)} does not fit; allowed: {allowed}")
        weights[name] = tensor.to(device, dtype)
        del tensor  # else two are held while the next is read
    if shape.tied:
        weights["head.weight"] = weights["embed.weight"]
    if missing := sorted(set(wanted) - set(weights)):
        raise ValueError(f"the checkpoint has no {missing[0]!r} ({len(missing)} tensors missing)")
    net.load_state_dict(weights, assign=True)
    if shape.tied:
        net.head.weight = net.embed.weight
    return net.requires_grad_(False).eval()


def _tokenizer(source: "Path | GGUFFile", spec: ModelSpec) -> "Tokenizer | None":
    # requests by ids need none, and transformers takes seconds to import
    if isinstance(source, Path) and not any((source / name).exists() for name in _TOKENIZER_FILES):
        return None
    from dllm.models.tokenizer import load_tokenizer

    return load_tokenizer(source, spec)


def load_random(
    name: str, spec: ModelSpec, shape: Shape, *, device: str | None = None, dtype: str | None = None
) -> Model:
    """A model with random weights and no tokenizer, to measure a shape without its weights; see `choose_device`."""
    place, kind = choose_device(device, dtype, stored=torch.bfloat16)
    return Model(name, spec, _untrained(shape, place, kind, mask_id=spec.mask_id), spec.mask_id, spec.stop_ids)


def tiny(shape: Shape, *, seed: int = 0, mask_id: int | None = None) -> Transformer:
    """A random network in float32, for tests."""
    return _untrained(shape, torch.device("cpu"), torch.float32, mask_id=mask_id, seed=seed, std=0.3)


def _untrained(
    shape: Shape, device: torch.device, dtype: torch.dtype, *, mask_id: int | None, seed: int = 0, std: float = 0.02
) -> Transformer:
    """A network with random weights made on the device; norms are ones."""
    generator = torch.Generator(device).manual_seed(seed)
    with torch.device("meta"):
        wanted = {name: part.shape for name, part in Transformer(shape).named_parameters()}

    def weight(name: str) -> Tensor:
        empty = torch.empty(wanted[name], device=device, dtype=dtype)
        return empty.fill_(1) if "norm" in name else empty.normal_(std=std, generator=generator)

    named = ((name, weight(name)) for name in wanted if not (shape.tied and name == "head.weight"))
    return build_network(shape, named, device=device, dtype=dtype, mask_id=mask_id)
