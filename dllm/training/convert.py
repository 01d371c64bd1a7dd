"""Converts an autoregressive model to block diffusion: trains a low-rank adapter on the model's own answers.

Every draw depends on the seed and the step alone, so a resumed run equals an uninterrupted one.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dllm.bench.suite import Suite
from dllm.files import atomic_write, check_not_input
from dllm.models.adapter import FORMAT, MASK, merge
from dllm.models.base_model import fetch_base_model
from dllm.models.loader import Model, load
from dllm.models.transformer import Transformer
from dllm.training.autoregressive import Autoregressive
from dllm.training.blocks import Blocks
from dllm.training.config import Config
from dllm.training.corpus import Corpus
from dllm.training.drafts import Drafts
from dllm.training.lora import save_adapter
from dllm.training.objective import Measure


class Objective(Protocol):
    """A loss and its data. attentions: the kinds of attention that the adapter may be decoded with."""

    net: Transformer
    parameters: dict[str, nn.Parameter]

    @property
    def attentions(self) -> tuple[str, ...]: ...

    def loss(self, number: int, *, sharpen: float) -> tuple[Tensor, Measure]:
        """The loss of a micro-batch, summed over its labels, and what it is made of."""
        ...

    def measure(self, pool: Executor) -> dict[str, object]:
        """Metrics of the held-out documents."""
        ...


OBJECTIVES: dict[str, Callable[[Model, Config, Corpus], Objective]] = {
    "blocks": Blocks, "ar": Autoregressive, "drafts": Drafts
}  # fmt: skip


def convert(config: Path, *, report: Callable[[dict[str, object]], None] | None = None) -> Path:
    """Train as the file says, from its checkpoint where there is one; returns the adapter's path.

    `report` is called with each line of the log as it is written (`log.jsonl` in the work folder).

    Raises:
        ValueError: a bad config, an adapter that would overwrite what it is made from, bad or too few data, or a
            checkpoint of another shape.
    """
    # bf16 kernels are compiled for every number of tokens, and by default oneDNN keeps 1,024 of them and torch as many
    # for each thread: gigabytes within an hour
    for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(cache, "64")
    settings = Config.load(config)
    read = {"base": settings.base, "twin": settings.twin, **{f"data[{n}]": at for n, at in enumerate(settings.data)}}
    inputs = {name: Path(at).expanduser() for name, at in read.items() if at is not None}
    check_not_input("out", Path(settings.out).expanduser(), inputs)
    base = fetch_base_model() if settings.base is None else Path(settings.base).expanduser()
    if settings.workers > 1:
        torch.set_num_threads(1)
    trainer = Trainer(load(base, device=settings.device, dtype=settings.dtype), settings)
    log = trainer.work / "log.jsonl"
    for entry in trainer.run():
        with log.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        if report is not None:
            report(entry)
    return trainer.out


class Trainer:
    """A model with its adapter, optimizer and place in the data. The model's network is changed in place."""

    def __init__(self, model: Model, config: Config) -> None:
        self.config, self.step = config, 0
        self.work, self.out = Path(config.work).expanduser(), Path(config.out).expanduser()
        self.work.mkdir(parents=True, exist_ok=True)
        self.checkpoint = self.work / "checkpoint.safetensors"  # parameters and both moments of each, in fp32
        if config.twin is not None:
            model = merge(model, Path(config.twin).expanduser())
        self.model = model
        self.corpus = Corpus(config, stop_id=model.stop_ids[0], excluded=_suite_prompts(model, config.exclude))
        self.objective: Objective = OBJECTIVES[config.objective](model, config, self.corpus)
        self.parameters = self.objective.parameters
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
        )
        if config.compile:
            for layer in self.objective.net.layers:
                for part in ("project", "finish"):
                    setattr(layer, part, torch.compile(getattr(layer, part), dynamic=True))
        self.pool = ThreadPoolExecutor(config.workers)
        if self.checkpoint.exists():
            self._resume()
        elif config.start is not None:
            self._start(Path(config.start).expanduser())

    def run(self) -> Iterator[dict[str, object]]:
        """Train to the last step; yields the log's entries."""
        began = time.perf_counter()
        while self.step < self.config.steps:
            rate = self._rate()
            entry = {"step": self.step + 1, **self._advance(rate).mean(), "rate": rate}
            yield {**entry, "seconds": time.perf_counter() - began}
            last = self.step == self.config.steps
            if last or self.step % self.config.save_every == 0:
                self.save()
            if last or self.step % self.config.measure_every == 0:
                yield {"step": self.step, "held_out": self.measure()}

    def measure(self) -> dict[str, object]:
        """Metrics of the held-out documents."""
        return self.objective.measure(self.pool)

    def save(self) -> None:
        """Write checkpoint and adapter, each atomically."""
        tensors = {name: p.detach() for name, p in self.parameters.items()}
        for name, p in self.parameters.items():
            for moment in ("exp_avg", "exp_avg_sq"):
                tensors[f"{name}/{moment}"] = self.optimizer.state[p][moment]
        with atomic_write(self.checkpoint) as part:
            save_file(tensors, part, metadata={"step": str(self.step)})
        metadata = {
            "format": FORMAT,
            "base": self.model.id,
            "base_sha256": str(self.model.sha256),
            "rank": str(self.config.rank),
            "scale": str(self.config.scale),
            **({"mask_id": str(self.config.mask_id)} if MASK in self.parameters else {}),
            "attentions": json.dumps(self.objective.attentions),
            "steps": str(self.step),
            "documents": str(len(self.corpus.documents)),
        }
        save_adapter(self.out, self.parameters, metadata)

    def _resume(self) -> None:
        with safe_open(self.checkpoint, framework="pt") as file:
            steps = torch.tensor(float(file.metadata()["step"]))
            for name, p in self.parameters.items():
                value = file.get_tensor(name)
                if value.shape != p.shape:
                    raise ValueError(
                        f"{self.checkpoint} has {name} as {tuple(value.shape)}, the config asks for {tuple(p.shape)}"
                    )
                p.data.copy_(value)
                moments = {m: file.get_tensor(f"{name}/{m}").to(p.device) for m in ("exp_avg", "exp_avg_sq")}
                self.optimizer.state[p] = {"step": steps.clone(), **moments}
        self.step = int(steps)

    def _start(self, path: Path) -> None:
        """Start from an adapter; ranks beyond its own keep their initial values (B zero)."""
        with safe_open(path, framework="pt") as file:
            for name, p in self.parameters.items():
                value = file.get_tensor(name) if name in file.keys() else None  # noqa: SIM118 - not a dict
                if value is None or any(have > want for have, want in zip(value.shape, p.shape, strict=True)):
                    raise ValueError(f"{path} has no {name} of {tuple(p.shape)}; allowed: an adapter of this shape")
                p.data[tuple(map(slice, value.shape))] = value.to(p.device, p.dtype)

    def _rate(self) -> float:
        """Linear warm-up, then a cosine down to the final share."""
        c = self.config
        if self.step < c.warm_up:
            return c.learning_rate * (self.step + 1) / c.warm_up
        done = (self.step - c.warm_up) / max(1, c.steps - c.warm_up)
        return c.learning_rate * (c.final_share + (1 - c.final_share) * (1 + math.cos(math.pi * done)) / 2)

    def _advance(self, rate: float) -> Measure:
        packs = range(self.step * self.config.packs, (self.step + 1) * self.config.packs)
        jobs = [self.pool.submit(self._gradients, number) for number in packs]
        results = [job.result() for job in jobs]  # in order, so that sums do not depend on which ended first
        total = sum((measure for measure, _ in results), Measure())
        for p, *grads in zip(self.parameters.values(), *(grads for _, grads in results), strict=True):
            p.grad = torch.stack(grads).sum(0) / total.labels
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.step += 1
        return total

    def _gradients(self, number: int) -> tuple[Measure, tuple[Tensor, ...]]:
        sharpen = self.config.sharpen if self.step >= self.config.sharpen_from else 0.0
        loss, measure = self.objective.loss(number, sharpen=sharpen)
        # not backward(): threads must not add into one .grad
        return measure, torch.autograd.grad(loss, list(self.parameters.values()))


def _suite_prompts(model: Model, suites: Sequence[str]) -> set[tuple[int, ...]]:
    """The prompts of evaluation suites, as ids in the chat template."""
    if not suites:
        return set()
    if model.tokenizer is None:
        raise ValueError(f"exclude names {suites[0]!r}, but {model.id} has no tokenizer to read it; allowed: none")
    return {tuple(model.tokenizer.chat(item.prompt)) for name in suites for item in Suite.load(name).items}
