"""The engine: loads a model by name and makes runs. The network's modules are imported lazily."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dllm.decode import ModelTraits, resolve
from dllm.engine.loop import Scheduler
from dllm.engine.registry import MODELS, ModelEntry
from dllm.engine.run import Run, model_record
from dllm.settings import Settings, SettingsError
from dllm.step import Step
from dllm.trace.schema import Environment

if TYPE_CHECKING:
    from dllm.models.loader import Model
    from dllm.models.progress import Progress
    from dllm.models.runner import Runner
    from dllm.models.transformer import Transformer

_ROOT = Path(__file__).resolve().parents[2]
SHIPPED = _ROOT / "assets/models/smollm2-135m-blockdiffusion"
TWIN, DRAFTS, FULL = "twin.safetensors", "drafts.safetensors", "full.safetensors"
_RANDOM = "random:"  # before a model's name: its shape without its weights
_MAX_PROMPT_CHARS = 20_000
_MULTIPLE = 32  # of queries that d²Cache chooses, where passes are replayed: so that there are few shapes of them


@dataclass(frozen=True, slots=True)
class ForwardOptions:
    """How forward passes are made; None: chosen by device.

    attention: "eager", "sdpa" or "flash". graphs: whether frequent shapes are replayed from CUDA graphs.
    """

    attention: str | None = None
    graphs: bool | None = None

    def runner(self, net: "Transformer") -> "Runner":
        """A runner of a network with these options.

        Raises:
            ValueError: the device does not support an option.
        """
        from dllm.models.graph_cache import GraphCache
        from dllm.models.runner import Runner

        weight = net.norm.weight
        if self.graphs and not weight.is_cuda:
            raise ValueError(f"graphs are asked for on {weight.device}; allowed: on a CUDA device")
        graphs = GraphCache(net) if weight.is_cuda and self.graphs is not False else None
        return Runner(net, attention=self.attention, executor=graphs)


class Engine:
    """A loaded model, ready to run requests. Runs share only the weights."""

    def __init__(
        self, model: "Model", *, full: "Model | None" = None, options: ForwardOptions = ForwardOptions()
    ) -> None:
        """full: a separate network for full attention (the default model's second adapter).

        Raises:
            ValueError: the device does not support an option.
        """
        self.model, self.tokenizer, self.full = model, model.tokenizer, full
        self._runner = options.runner(model.net)
        self._options = options
        self.warm_up = 0
        self._peaks: tuple[float, float] | None = None
        self._scheduler = Scheduler()

    @classmethod
    def load(
        cls,
        name: str = "default",
        *,
        device: str | None = None,
        dtype: str | None = None,
        threads: int | None = None,
        progress: "Progress | None" = None,
        folder: Path | None = None,
        options: ForwardOptions = ForwardOptions(),
    ) -> "Engine":
        """Load by name, folder, GGUF file or `organisation/name@commit`. device and dtype None: chosen by the machine.

        `random:NAME` is a network of that model's shape with random weights and no tokenizer. folder: other adapters
        for the default model.

        Raises:
            ValueError: not a model, or a folder of adapters for another model than the default.
            OSError: the model hub does not have it, or cannot be reached.
        """
        from dllm.models import loader
        from dllm.models.device import set_threads

        if threads is not None:
            set_threads(threads)
        if name != "default":
            if folder is not None:
                raise ValueError(f"folder is {str(folder)!r} with model {name!r}; allowed: with model 'default'")
            if name.startswith(_RANDOM):
                entry = _entry(name)
                model = loader.load_random(name, entry.spec, entry.shape, device=device, dtype=dtype)
                return cls(model, options=options)
            source = f"{name}@{MODELS[name].revision}" if name in MODELS else name
            return cls(loader.load(source, device=device, dtype=dtype, progress=progress), options=options)
        from dllm.models.adapter import attach, merge
        from dllm.models.base_model import fetch_base_model

        folder = folder or SHIPPED
        base = loader.load(fetch_base_model(progress), device=device, dtype=dtype)
        twin = replace(merge(base, folder / TWIN), id="default")
        full = merge(twin, folder / FULL)
        return cls(attach(twin, folder / DRAFTS), full=full, options=options)

    @cached_property
    def traits(self) -> ModelTraits:
        """The model's traits, with the attentions of both networks."""
        own = self._traits(self.model)
        if self.full is None:
            return own
        return replace(own, attentions=(*own.attentions, *self._traits(self.full).attentions))

    def network(self, attention: str | None) -> "Model":
        """The network that decodes under an attention of `traits`."""
        full = self.full
        return full if full is not None and attention in self._traits(full).attentions else self.model

    def runner(self, attention: str | None = None) -> "Runner":
        """The runner of `network(attention)`."""
        return self._full_runner if self.network(attention) is self.full else self._runner

    @cached_property
    def _full_runner(self) -> "Runner":
        """Made when it is first needed: until then full attention's weights are in memory once, not packed as well."""
        assert self.full is not None
        return self._options.runner(self.full.net)

    @property
    def autoregressive(self) -> bool:
        """Whether the model writes one token at a time only."""
        return self.traits.mask_id is None

    def _traits(self, model: "Model") -> ModelTraits:
        return ModelTraits(
            family=model.spec.name,
            vocab=model.net.shape.vocab,
            context=model.net.shape.context,
            shift=model.spec.shift,
            attentions=model.spec.attentions,
            mask_id=model.mask_id,
            stop_ids=model.stop_ids,
            sub_block_cache=model.device.type == "cpu",
            multiple=_MULTIPLE if self._runner.replays else 1,
        )

    def describe(self) -> dict[str, Any]:
        """The model and the machine as plain data."""
        return {
            **model_record(self.model).model_dump(),
            **self.environment().model_dump(),
            "attentions": self.traits.attentions,
            "attention_reason": self._runner.attention.reason,
            "mask_id": self.traits.mask_id,
            "context": self.traits.context,
        }

    def warm(self, *, peaks: bool = True) -> None:
        """Run a few passes, so that no timed run pays for first calls. peaks: measure the machine's peaks too."""
        lengths = {1: 2, 8: 8} if not self._runner.replays else {1: 16, 8: 64, 32: 96}  # graphs: until captured
        for size, length in lengths.items():
            if size == 1 or not self.autoregressive:
                for _ in self.run([0] * 8, Settings(gen_length=length, block_size=size)):
                    self.warm_up += 1
        if peaks and self._peaks is None:
            from dllm.models.device import peak_rates

            self._peaks = peak_rates(self.model.device, self.model.net.norm.weight.dtype)

    def log_prob(self, prompt: Sequence[int], answer: Sequence[int]) -> float | None:
        """Mean log-probability in nats of an answer's token under the AR network; None without network or token."""
        if not answer or not self.traits.causal:
            return None
        from dllm.models.likelihood import log_probabilities

        return sum(log_probabilities(self.model.net, [(prompt, answer)])[0]) / len(answer)

    def run(self, prompt: str | Sequence[int], settings: Settings) -> Run:
        """A new run. Text goes through the chat template; ids are used as they are.

        Raises:
            SettingsError: the prompt or a setting is not allowed.
        """
        resolved = resolve(settings, self.traits)
        model = self.network(resolved.attention)
        traits = self._traits(model)
        runner, ids = self.runner(resolved.attention), self._ids(prompt)
        return Run(model, runner, ids, resolved, traits=traits, environment=self.environment())

    def steps(self, run: Run) -> Iterator[Step]:
        """The steps of a run, batched with the other runs that are decoded by this method. For one thread."""
        return self._scheduler.decode(run)

    def _ids(self, prompt: str | Sequence[int]) -> list[int]:
        if not isinstance(prompt, str):
            return list(prompt)
        if self.tokenizer is None:
            raise SettingsError("the model has no tokenizer; allowed: prompt_ids")
        if not prompt.strip():
            raise SettingsError("the prompt is empty; allowed: some text")
        if len(prompt) > _MAX_PROMPT_CHARS:
            raise SettingsError(f"the prompt has {len(prompt)} characters; allowed: {_MAX_PROMPT_CHARS}")
        return self.tokenizer.chat(prompt)

    def environment(self) -> Environment:
        """The device, versions and options, as traces record them."""
        from dllm.models.device import machine_info

        flops, read = self._peaks or (None, None)
        place: Any = machine_info(self.model.device)
        return Environment(
            **place,
            commit=_commit(),
            warm_up=self.warm_up,
            attention=str(self._runner.attention),
            graphs=self._runner.replays,
            peak_flops=flops,
            peak_bytes=read,
        )


def _entry(name: str) -> ModelEntry:
    """The entry whose shape `random:NAME` means."""
    allowed = [known for known in MODELS if known != "default"]
    if name.removeprefix(_RANDOM) not in allowed:
        raise ValueError(f"model is {name!r}; allowed: {_RANDOM} before one of {', '.join(allowed)}")
    return MODELS[name.removeprefix(_RANDOM)]


@cache
def _commit() -> str | None:
    """The project's commit; None outside a checkout."""
    command = ["git", "-C", str(_ROOT), "rev-parse", "--short", "HEAD"]
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return out.stdout.strip() or None
