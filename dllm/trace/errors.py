"""The error of a trace that does not fit, and how faults are put into words."""

from pydantic import ValidationError

MAX_TEXT = 1000  # characters of one piece or name


class TraceError(ValueError):
    """A trace that does not fit the schema; the message says what is wrong and where."""


def faults(error: ValidationError) -> str:
    """Where, what is allowed and what was found, for the first few."""
    if error.error_count() > 1000:
        return f"it has {error.error_count()} faults"
    told = []
    for fault in error.errors(include_url=False)[:5]:
        where, text, found = (
            ".".join(map(str, fault["loc"])),
            fault["msg"].removeprefix("Value error, "),
            fault["input"],
        )
        if isinstance(found, str | int | float) and fault["type"] != "json_invalid":
            text += f", not {short(repr(found), 60)}"
        told.append(short(f"{short(where, 100) or 'trace'}: {text}"))
    return "; ".join(told)


def short(text: str, most: int = 300) -> str:
    """Text cut to `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"
