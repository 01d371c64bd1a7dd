"""What one visitor may ask of a shared machine. Checked in the handler, because API callers never see the page."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from dllm.settings import SettingsError

PROMPT_CHARS = 4000
PROMPT_TOKENS = 1024
SECONDS = 300.0  # one lane, or one race; it ends with what it has
MAX_RUNS = 8  # runs decoded together; others wait in line
COMPARING = 30.0  # seconds for the references of one answer; those that take longer are left out
KEPT = 64  # runs kept for the inspector, of all visitors
KEPT_EACH = 8  # of one session
KEPT_BYTES = 512 * 2**20  # their memory, about
QUEUE = 128  # requests that wait for a handler, and handlers that wait for the device
DRAWING = 20.0  # seconds for which a picture waits until a race has ended
RACING = "A race is being timed, which this would disturb: ask again when it has ended."
MAPS_BYTES = 32 * 2**20  # of attention maps a lane, unpacked; what comes after is not kept, and the trace says so
MAXIMA = {"gen_length": 256, "block_size": 64, "sub_block_size": 64, "k": 256, "inflate": 256, "seed": 2**32 - 1}


def check_prompt(text: Any) -> str:
    """The prompt as typed.

    Raises:
        SettingsError: not text, empty, too long, or with halves of characters.
    """
    if not isinstance(text, str) or not text.strip():
        raise SettingsError(f"the prompt is empty; allowed: 1 to {PROMPT_CHARS} characters")
    if len(text) > PROMPT_CHARS:
        raise SettingsError(f"the prompt has {len(text)} characters; allowed: 1 to {PROMPT_CHARS}")
    if halves := [char for char in text if "\ud800" <= char <= "\udfff"]:
        raise SettingsError(f"the prompt holds half a character, {halves[0]!r}; allowed: whole characters")
    return text


def check_tokens(count: int) -> None:
    """Refuse a prompt of too many tokens.

    Raises:
        SettingsError: says how many there are.
    """
    if count > PROMPT_TOKENS:
        raise SettingsError(f"the prompt has {count} tokens with its chat template; allowed: {PROMPT_TOKENS}")


def check_request(request: Mapping[str, Any]) -> None:
    """Refuse what the settings would allow but the page does not, at the top and in `cache` and `unmask`.

    Raises:
        SettingsError: names the value and what is allowed.
    """
    for part in (request, request.get("cache"), request.get("unmask")):
        for name, maximum in MAXIMA.items():
            value = part.get(name) if isinstance(part, Mapping) else None
            if value is not None and integer(name, value) > maximum:
                raise SettingsError(f"{name} is {value}; allowed on this page: up to {maximum}")


def number(name: str, value: Any) -> float:
    """A finite number as given.

    Raises:
        SettingsError: it is none; names the value.
    """
    if type(value) not in (int, float) or not isfinite(value):
        raise SettingsError(f"{name} is {value!r:.80}; allowed: a number")
    return value


def integer(name: str, value: Any) -> int:
    """An integer, which may come as a float.

    Raises:
        SettingsError: it is none; names the value.
    """
    if type(value) not in (int, float) or not isfinite(value) or value != int(value):
        raise SettingsError(f"{name} is {value!r:.80}; allowed: an integer")
    return int(value)
