"""Fetching a checkpoint from the model hub: one commit, and of it only weights, configs and tokenizers, never code."""

import os
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.utils import tqdm

from dllm.models.progress import Progress

PATTERNS = ("*.safetensors", "*.json", "merges.txt", "*.jinja")


def fetch(name: str, revision: str, progress: Progress | None = None) -> Path:
    """The folder of one commit in the hub's cache, fetched if it is not there. Its name is the commit.

    HF_HUB_OFFLINE=1 or BLOCKSCOPE_HUB=0: only the cache is looked at.

    Raises:
        OSError: neither the cache nor the hub has it; says why.
    """
    try:
        folder = huggingface_hub.snapshot_download(
            name,
            revision=revision,
            allow_patterns=list(PATTERNS),
            local_files_only=os.environ.get("BLOCKSCOPE_HUB") == "0",
            tqdm_class=_bar(f"Fetching {name.rpartition('/')[2]}", progress),
        )
    except (OSError, ValueError) as error:
        raise OSError(f"{name} at {revision} could not be had: {error}") from error
    return Path(folder)


def _bar(label: str, progress: Progress | None) -> type[tqdm]:
    """What the hub's client takes for a bar, and tells of the bytes of all files together."""

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.told = kwargs.get("name") == "huggingface_hub.snapshot_download"
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if self.told and self.total and progress:
                progress(label, int(self.n), int(self.total))

    return Bar
