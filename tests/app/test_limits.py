import pytest

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


@pytest.mark.parametrize("name", MAXIMA)
def test_the_page_allows_less_than_the_engine(name: str) -> None:
    check_request({name: MAXIMA[name]})
    check_request({name: None})
    with pytest.raises(
        SettingsError, match=f"{name} is {MAXIMA[name] + 1}; allowed on this page: up to {MAXIMA[name]}"
    ):
        check_request({name: MAXIMA[name] + 1})
