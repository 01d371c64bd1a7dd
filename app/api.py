"""The programming interface: one call with named parameters, answered with the text and the whole trace."""

from collections.abc import Callable
from typing import Any

from app.decode import run_passes
from app.engines import Engines, check_model
from app.limits import check_prompt, check_request, check_tokens
from app.presets import FIRST, preset_named
from app.refusals import refusals
from dllm.settings import Settings, SettingsError


def decoder(engines: Engines) -> Callable[..., dict[str, Any]]:
    """The endpoint `/decode`."""

    def decode(
        prompt: str, preset: str = FIRST, settings: dict[str, Any] | None = None, model: str = "default"
    ) -> dict[str, Any]:
        """Decode a prompt with a diffusion language model, and say step by step how its answer came about.

        Args:
            prompt: what to ask; the model's chat template is put around it.
            preset: verified, safe, fast, too-fast, no-cache or d2.
            settings: what differs from the preset, such as {"gen_length": 32, "unmask": {"name": "threshold",
                "threshold": 0.8}}; the fields are those of `python -m dllm decode`.
            model: one of the page's models.

        Returns:
            {"answer": the text, "trace": the record of every forward pass, schema blockscope.trace/1}
        """
        with refusals():
            text, asked = check_prompt(prompt), _settings(preset, settings)
            check_model(model)
            with engines.visit() as visit:
                for _ in visit.ready(model):  # a program waits without a word
                    pass
                assert visit.engine is not None, "only a session's visit can be halted"
                run = visit.engine.run(text, asked)
                check_tokens(len(run.prompt))
                for _ in visit.drive(run_passes(visit.engine, "answer", run)):
                    pass
            return {"answer": run.text, "trace": run.trace().as_dict()}

    return decode


def _settings(preset: str, changes: dict[str, Any] | None) -> Settings:
    if not isinstance(changes, dict | None):
        raise SettingsError(f"settings is {changes!r:.80}; allowed: an object of settings")
    request = {"record": ["alternatives"], **preset_named(preset).request, **(changes or {})}
    check_request(request)
    settings = Settings.from_json(request)
    if "attention" in settings.record:
        raise SettingsError("record holds 'attention'; allowed here: alternatives, rollout")
    return settings
