import re
from typing import Any

import pytest

from app.controls import Controls
from app.limits import MAXIMA, PROMPT_CHARS, PROMPT_TOKENS, check_prompt, check_request, check_tokens
from dllm.settings import SettingsError


def test_a_prompt_within_the_limits_is_taken_as_typed() -> None:
    assert check_prompt("  Why?\n") == "  Why?\n"
    assert check_prompt("x" * PROMPT_CHARS)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "the prompt is empty; allowed: 1 to 4000 characters"),
        (" \n", "the prompt is empty"),
        (None, "the prompt is empty"),
        ("Hi \ud83d!", r"the prompt holds half a character, '\\ud83d'; allowed: whole characters"),
        ("x" * (PROMPT_CHARS + 1), "the prompt has 4001 characters; allowed: 1 to 4000"),
    ],
)
def test_a_prompt_beyond_them_is_named(prompt: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_prompt(prompt)


def test_tokens_are_counted_too() -> None:
    check_tokens(PROMPT_TOKENS)
    with pytest.raises(SettingsError, match="the prompt has 1025 tokens with its chat template; allowed: 1024"):
        check_tokens(PROMPT_TOKENS + 1)


def as_requested(controls: Controls, name: str, value: object) -> dict[str, Any]:
    """The request in which a visitor sets one number, where the controls put it."""
    path = next(path for path in controls.paths if path[-1] == name)
    given = {path: component.value for path, component in zip(controls.paths, controls.components, strict=True)}
    chosen = {path[:1]: path[1]} if len(path) > 1 else {}
    return controls.request(list({**given, **chosen, path: value}.values()))


@pytest.mark.parametrize("name", MAXIMA)
def test_the_page_allows_less_than_the_engine(name: str, controls: Controls) -> None:
    check_request(as_requested(controls, name, MAXIMA[name]))
    beyond = MAXIMA[name] + 1
    with pytest.raises(SettingsError, match=f"{name} is {beyond}; allowed on this page: up to {MAXIMA[name]}"):
        check_request(as_requested(controls, name, beyond))


@pytest.mark.parametrize("name", MAXIMA)
@pytest.mark.parametrize("value", ["many", [], {}, True, 1.5, float("nan"), float("inf")])
def test_what_is_no_number_is_named(name: str, value: object, controls: Controls) -> None:
    with pytest.raises(SettingsError, match=rf"{name} is {re.escape(repr(value))}; allowed: an integer"):
        check_request(as_requested(controls, name, value))


def test_a_value_that_is_left_to_the_model_is_allowed(controls: Controls) -> None:
    check_request(as_requested(controls, "seed", 0))
    check_request(dict.fromkeys(MAXIMA))
