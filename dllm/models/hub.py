"""Downloads checkpoints from the model hub: one pinned commit; weights, configs and tokenizers, never code."""

import os
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.utils import tqdm

from dllm.models.progress import Progress

_PATTERNS = ("*.safetensors", "*.json", "merges.txt", "*.jinja")


def fetch_checkpoint(name: str, revision: str, progress: Progress | None = None) -> Path:
    """The folder of one commit in the hub's cache (its name is the commit), downloaded if missing.

    With HF_HUB_OFFLINE=1 or BLOCKSCOPE_HUB=0 only the cache is read.

    Raises:
        OSError: neither the cache nor the hub has it.
    """
    try:
        folder = huggingface_hub.snapshot_download(
            name,
            revision=revision,
            allow_patterns=list(_PATTERNS),
            local_files_only=os.environ.get("BLOCKSCOPE_HUB") == "0",
            tqdm_class=tqdm_class_of(
                f"Fetching {name.rpartition('/')[2]}", progress, name="huggingface_hub.snapshot_download"
            ),
        )
    except (OSError, ValueError) as error:
        raise OSError(f"{name} at {revision} could not be had: {error}") from error
    return Path(folder)


def tqdm_class_of(label: str, progress: Progress | None, *, name: str = "huggingface_hub") -> type[tqdm]:
    """A `tqdm_class` for the hub's client that draws nothing and forwards bytes to `progress`.

    name: only bars whose name starts with this count; `snapshot_download` also has others.
    """

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.counts = str(kwargs.get("name", "")).startswith(name)
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if self.counts and self.total and progress:
                progress(label, int(self.n), int(self.total))

    return Bar
