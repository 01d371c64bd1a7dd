"""Converts an autoregressive model to block diffusion: trains a low-rank adapter on the model's own answers.

Every draw depends on the seed and the step alone, so a run that resumes from its checkpoint equals one that was never
cut off.
"""

import json
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from dllm.models.adapter import FORMAT
from dllm.models.fetch import fetch_base
from dllm.models.loader import Model, load
from dllm.suite import Suite
from dllm.training.config import Config
from dllm.training.corpus import Corpus
from dllm.training.lora import save_adapter, wrap
from dllm.training.noise import Mask, views
from dllm.training.objective import Example, Measure, pack, total_loss

Report = Callable[[dict[str, object]], None]


def main(config: Path, *, report: Report | None = None) -> Path:
    """Train as the file says, from its checkpoint where there is one; returns the adapter's path.

    `report` is called with each line of the log as it is written (`log.jsonl` in the work folder).

    Raises:
        ValueError: a bad config, data that are none, or a checkpoint of another shape.
    """
    settings = Config.load(config)
    base = fetch_base() if settings.base is None else Path(settings.base).expanduser()
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
        self.model, self.config, self.step = model, config, 0
        self.work, self.out = Path(config.work).expanduser(), Path(config.out).expanduser()
        self.work.mkdir(parents=True, exist_ok=True)
        self.corpus = Corpus(config, stop_id=model.stop_ids[0], excluded=_asked(model, config.exclude))
        self.parameters = wrap(
            model.net, rank=config.rank, scale=config.scale, mask_id=config.mask_id, seed=config.seed
        )
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
        )
        if config.compile:
            for layer in model.net.layers:
                for part in ("project", "finish"):
                    setattr(layer, part, torch.compile(getattr(layer, part), dynamic=True))
        self.pool = ThreadPoolExecutor(config.workers)
        if self.checkpoint.exists():
            self._resume()

    @property
    def checkpoint(self) -> Path:
        """Parameters and both moments of each, in fp32."""
        return self.work / "checkpoint.safetensors"

    def run(self) -> Iterable[dict[str, object]]:
        """Train to the last step; yields the log."""
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

    def measure(self) -> dict[str, dict[str, object]]:
        """The held-out documents by kind of mask and block size, with the same masks every time."""
        result: dict[str, dict[str, object]] = {}
        for kind, tails in (("scattered", 0.0), ("tails", 1.0)):
            result[kind] = {}
            for size in self.config.blocks:
                examples = sorted(
                    (self.corpus.example(d, size) for d in self.corpus.held_out), key=lambda e: len(e.ids)
                )
                groups = [examples[i : i + self.config.rows] for i in range(0, len(examples), self.config.rows)]
                jobs = [self.pool.submit(self._measured, g, f"{size}/{i}", tails) for i, g in enumerate(groups)]
                result[kind][size] = sum((job.result() for job in jobs), Measure()).mean()
        return result

    def save(self) -> None:
        """Write checkpoint and adapter; each takes its place whole or not at all."""
        tensors = {name: p.detach() for name, p in self.parameters.items()}
        for name, p in self.parameters.items():
            for moment in ("exp_avg", "exp_avg_sq"):
                tensors[f"{name}/{moment}"] = self.optimizer.state[p][moment]
        part = self.checkpoint.with_suffix(".part")
        save_file(tensors, part, metadata={"step": str(self.step)})
        part.replace(self.checkpoint)
        metadata = {
            "format": FORMAT,
            "base": self.model.id,
            "base_sha256": str(self.model.sha256),
            "rank": str(self.config.rank),
            "scale": str(self.config.scale),
            "mask_id": str(self.config.mask_id),
            "steps": str(self.step),
            "blocks": json.dumps(dict(self.config.blocks)),
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
        results = [job.result() for job in jobs]  # in order, so that sums do not depend on who was first
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
        rng = random.Random(f"{self.config.seed}/{number}")
        sizes, weights = zip(*self.config.blocks.items(), strict=True)
        documents = self.corpus.micro_batch(number)
        drawn = rng.choices(sizes, weights, k=len(documents))
        examples = [self.corpus.example(d, size) for d, size in zip(documents, drawn, strict=True)]
        c, generator = self.config, torch.Generator().manual_seed(rng.getrandbits(63))
        masks = [views(e, generator, complementary=c.complementary, tails=c.tails) for e in examples]
        loss, measure = self._loss(examples, masks, sharpen=c.sharpen if self.step >= c.sharpen_from else 0.0)
        # not backward(): threads must not add into one .grad
        return measure, torch.autograd.grad(loss, list(self.parameters.values()))

    def _measured(self, examples: list[Example], name: str, tails: float) -> Measure:
        generator = torch.Generator().manual_seed(random.Random(name).getrandbits(63))
        with torch.inference_mode():
            return self._loss(examples, [views(e, generator, tails=tails) for e in examples])[1]

    def _loss(
        self, examples: list[Example], masks: list[list[Mask]], *, sharpen: float = 0.0
    ) -> tuple[Tensor, Measure]:
        batch = pack(examples, masks, mask_id=self.config.mask_id).to(self.model.device)
        return total_loss(self.model.net, batch, sharpen=sharpen)


def _asked(model: Model, suites: Sequence[str]) -> set[tuple[int, ...]]:
    """The prompts of evaluation suites, as ids in the chat template."""
    if suites and model.tokenizer is None:
        raise ValueError(f"exclude names {suites[0]!r}, but {model.id} has no tokenizer to read it; allowed: none")
    asked = (item.prompt for name in suites for item in Suite.load(name).items)
    return {tuple(model.tokenizer.chat(prompt)) for prompt in asked} if model.tokenizer is not None else set()
