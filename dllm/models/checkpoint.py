"""Reads the safetensors files of a Hugging Face folder."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dllm.models.progress import Progress


def weight_files(path: Path) -> list[Path]:
    """A folder's weight files, sorted by name.

    Raises:
        ValueError: there are none, one is missing, or the index names a file elsewhere.
    """
    index = path / "model.safetensors.index.json"
    if index.exists():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        if strange := [n for n in names if Path(n).name != n]:
            raise ValueError(f"{index.name} names {strange[0]!r}; allowed: files of the same folder")
        if missing := [n for n in names if not (path / n).exists()]:
            raise ValueError(f"{path / missing[0]} is missing; {index.name} names {len(names)} files")
        return [path / n for n in names]
    if (path / "model.safetensors").exists():
        return [path / "model.safetensors"]
    raise ValueError(f"{path} has no model.safetensors and no model.safetensors.index.json")


def read_tensors(
    files: Sequence[Path], place: torch.device, *, rename: Callable[[str], str], progress: Progress | None
) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors, each read on its way to the device and released before the next.

    progress: called before each file, with the bytes of those before it.

    Raises:
        ValueError: a file cannot be read.
    """
    sizes = [file.stat().st_size for file in files]
    for i, file in enumerate(files):
        if progress:
            progress("Loading the weights", sum(sizes[:i]), sum(sizes))
        with _open(file, place) as f:
            for name in f.keys():  # noqa: SIM118 - not a dict
                yield rename(name), f.get_tensor(name)


def stored_dtype(file: Path) -> str:
    """The dtype of the file's first tensor as safetensors names it, such as "BF16"."""
    with _open(file, torch.device("cpu")) as f:
        return f.get_slice(next(iter(f.keys()))).get_dtype()


def sha256_of(*files: Path) -> str:
    """sha256 over the files' bytes, in order."""
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as f:
            hashlib.file_digest(f, lambda: total)
    return total.hexdigest()


def _open(file: Path, place: torch.device) -> safe_open:
    try:
        return safe_open(file, framework="pt", device=str(place))
    except SafetensorError as error:
        raise ValueError(f"{file} cannot be read: {error}; fetch it again") from None
