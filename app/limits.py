"""What one visitor may ask of a shared machine. Checked in the handler, because API callers never see the page."""

from collections.abc import Mapping
from typing import Any

from dllm.settings import SettingsError

PROMPT_CHARS = 4000
PROMPT_TOKENS = 1024
SECONDS = 300.0  # one lane, or one race; it ends with what it has
TOGETHER = 8  # visitors decoded together; more wait in the queue
JUDGING = 30.0  # seconds for the references of one answer; beyond them nothing is said of it
MAPS_BYTES = 32 * 2**20  # of attention maps a lane, unpacked; what comes after is not kept, and that is said
MAXIMA = {"gen_length": 256, "block_size": 64, "sub_block_size": 64, "k": 256, "inflate": 256, "seed": 2**32 - 1}


def check_prompt(text: Any) -> str:
    """The prompt as typed.

    Raises:
        SettingsError: not text, empty, or too long.
    """
    if not isinstance(text, str) or not text.strip():
        raise SettingsError(f"the prompt is empty; allowed: 1 to {PROMPT_CHARS} characters")
    if len(text) > PROMPT_CHARS:
        raise SettingsError(f"the prompt has {len(text)} characters; allowed: 1 to {PROMPT_CHARS}")
    return text


def check_tokens(count: int) -> None:
    """Refuse a prompt of too many tokens.

    Raises:
        SettingsError: says how many there are.
    """
    if count > PROMPT_TOKENS:
        raise SettingsError(f"the prompt has {count} tokens with its chat template; allowed: {PROMPT_TOKENS}")


def check_request(request: Mapping[str, Any]) -> None:
    """Refuse what the settings would allow but the page does not.

    Raises:
        SettingsError: names the value and what is allowed.
    """
    for name, maximum in MAXIMA.items():
        value = request.get(name)
        if isinstance(value, (int, float)) and value > maximum:
            raise SettingsError(f"{name} is {value}; allowed on this page: up to {maximum}")
