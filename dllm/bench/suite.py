"""Suites of prompts for evaluation, as data: with a check of the answer, or open.

A check says what a correct answer contains, so that no model has to judge it. A suite is refused if a prompt, repeated
as its own answer, passes its check.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo, field_validator

from dllm.bench import sandbox

SUITES = Path(__file__).parents[2] / "assets" / "suites"
OPEN = "open"  # the kind of items without a check
SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
NUMBER = re.compile(rf"(?<![\w-])-?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?!\d)(?:\.\d+)?|\b(?:{'|'.join(SMALL)})\b")
_QUOTES = "\"'`*“”‘’"

Phrase = Annotated[str, Field(min_length=1)]
Phrases = Annotated[tuple[Phrase, ...], Field(min_length=1)]


class SuiteError(ValueError):
    """A suite that cannot be used; the message says what is wrong and where."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Code(_Record):
    """A function (any name where there is none) and its cases: (arguments, result)."""

    name: str | None = None
    cases: Annotated[tuple[tuple[tuple[Any, ...], Any], ...], Field(min_length=1)]


class Different(_Record):
    """Phrases of which at least `count` must occur."""

    of: Phrases
    count: Annotated[int, Field(ge=1)]

    @field_validator("count")
    @classmethod
    def _reachable(cls, count: int, info: ValidationInfo) -> int:
        if (most := len(info.data.get("of", ()))) < count and most:
            raise ValueError(f"up to {most}, as many as there are phrases")
        return count


def _occurs(phrase: str, text: str) -> bool:
    """Whether a phrase is in the text as whole words, in any case; 2 is neither in 12 nor in 1.2, 2.5, 2,000 or -2."""
    return _times(phrase, text) > 0


def _times(phrase: str, text: str) -> int:
    return len(re.findall(rf"(?<![\w-])(?<!\d[.,]){re.escape(phrase)}(?!\w|[.,]\d)", text, re.IGNORECASE))


def _bare(text: str) -> str:
    """An answer without a label before it, quotes around it, and punctuation after it."""
    return re.sub(r"^(a|answer|output):\s*", "", text.strip(), flags=re.IGNORECASE).strip(_QUOTES + " \n.!,;:")


def _numbers(text: str) -> list[str]:
    """The numbers of a text in order; a list's numbering is none, and small ones may be spelled out."""
    text = re.sub(r"^[ \t]*\d+[.)][ \t]+(?=\S)", "", text, flags=re.MULTILINE)
    found = NUMBER.findall(text.lower())
    return [str(SMALL.index(n)) if n in SMALL else re.sub(r"\.0+$|,", "", n) for n in found]


def _any(phrases: tuple[str, ...], text: str) -> bool:
    """Some phrase occurs."""
    return any(_occurs(phrase, text) for phrase in phrases)


def _none(phrases: tuple[str, ...], text: str) -> bool:
    """No phrase occurs."""
    return not _any(phrases, text)


def _equal(wanted: str, text: str) -> bool:
    """It is the whole answer, in any case."""
    return _bare(text).casefold() == _bare(wanted).casefold()


def _exactly(wanted: str, text: str) -> bool:
    """It is the whole answer, capital letters included."""
    return _bare(text) == _bare(wanted)


def _starts(words: tuple[str, ...], text: str) -> bool:
    """The first word is one of these; "yes or no" is the question, and no word of an answer."""
    first = re.match(r"\w+(?!\s+or\b)\b", _bare(text))
    return first is not None and first[0].lower() in {word.lower() for word in words}


def _sequence(wanted: tuple[str, ...], text: str) -> bool:
    """These numbers in this order, none between them, none after them, and not as the end of a longer count."""
    found = _numbers(text)
    *before, start = found[: len(found) - len(wanted) + 1] or [""]
    steps = {abs(int(a) - int(b)) for a, b in zip(before[-1:], [start], strict=False) if a.isdigit() and b.isdigit()}
    return found[-len(wanted) :] == list(wanted) and 1 not in steps


def _number(wanted: str, text: str) -> bool:
    """The last number of the first line that has one: what stands after "=", or what the talk comes to."""
    lines = (numbers for line in text.splitlines() if (numbers := _numbers(line)))
    return next(lines, [""])[-1] == wanted


def _different(wanted: Different, text: str) -> bool:
    """At least `count` of these phrases occur, and none of them twice."""
    times = [_times(phrase, text) for phrase in wanted.of]
    return max(times) <= 1 and sum(times) >= wanted.count


def _code(code: Code, text: str) -> bool:
    """The code in the answer passes all cases."""
    return sandbox.passes_cases(text, name=code.name, cases=code.cases)


CHECKS: dict[str, tuple[Any, Callable[[Any, str], bool]]] = {
    "any": (Phrases, _any),
    "none": (Phrases, _none),
    "equal": (Phrase, _equal),
    "exactly": (Phrase, _exactly),
    "starts": (Phrases, _starts),
    "sequence": (Phrases, _sequence),
    "number": (Phrase, _number),
    "different": (Different, _different),
    "code": (Code, _code),
}


class Item(_Record):
    """A prompt and the checks of its answer, by their names in `CHECKS`; None for an open prompt."""

    id: Phrase
    kind: Phrase
    prompt: Phrase
    check: dict[str, Any] | None = None


class Suite(_Record):
    """Items in the order of their file."""

    name: Phrase
    items: tuple[Item, ...]

    @classmethod
    def load(cls, name_or_path: str | Path) -> "Suite":
        """A suite of `assets/suites/` by its name, or of a file.

        Raises:
            SuiteError: no such suite, or an item of it is wrong; names the item, the value and what is allowed.
        """
        shipped = {path.stem: path for path in sorted(SUITES.glob("*.json"))}
        path = shipped.get(str(name_or_path), Path(name_or_path))
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except OSError:
            allowed = f"{', '.join(shipped)}, or a JSON file"
            raise SuiteError(f"suite is {str(name_or_path)!r}; allowed: {allowed}") from None
        except ValueError as error:
            raise SuiteError(f"{path.name} is not JSON: {error}") from None
        if not isinstance(raw, dict) or set(raw) != {"name", "items"} or not isinstance(raw["items"], list):
            raise SuiteError(f"{path.name} is {str(raw)[:60]!r}; allowed: an object of name and items, a list")
        items: dict[str, Item] = {}
        for number, entry in enumerate(raw["items"], 1):
            where = f"{path.name}, item {number}"
            item = _item(entry, where)
            if item.id in items:
                raise SuiteError(f"{where}: id is {item.id!r} for the second time; allowed: once")
            items[item.id] = item
        return cls(name=str(raw["name"]), items=tuple(items.values()))

    @property
    def checked(self) -> tuple[Item, ...]:
        """The items with a check."""
        return tuple(item for item in self.items if item.check is not None)

    @property
    def open(self) -> tuple[Item, ...]:
        """The items without one."""
        return tuple(item for item in self.items if item.check is None)


def is_correct(item: Item, text: str) -> bool:
    """Whether an answer passes every check of an item.

    Raises:
        ValueError: the item is open, so no answer to it is right or wrong.
        dllm.bench.sandbox.SandboxError: the answer is code, and this machine cannot run it safely.
    """
    if item.check is None:
        raise ValueError(f"item {item.id!r} is open; allowed: items with a check")
    return all(CHECKS[name][1](value, text) for name, value in item.check.items())


def _item(entry: Any, where: str) -> Item:
    """An item, its check's values in their own types."""
    if isinstance(entry, dict) and isinstance(entry.get("id"), str):
        where += f" ({entry['id']})"
    item = _read(Item, entry, where)
    if not item.prompt.strip():
        raise SuiteError(f"{where}: prompt is {item.prompt!r}; allowed: text")
    if (item.kind == OPEN) != (item.check is None):
        raise SuiteError(f"{where}: kind is {item.kind!r} {'without' if item.check is None else 'with'} a check; "
                         f"allowed: {OPEN!r} without one, any other kind with one")  # fmt: skip
    if item.check is None:
        return item
    if unknown := [name for name in item.check if name not in CHECKS]:
        raise SuiteError(f"{where}: check is {unknown[0]!r}; allowed: {', '.join(CHECKS)}")
    if not set(item.check) - {"none"}:
        raise SuiteError(f"{where}: check is {item.check!r}; allowed: at least one that asks for something")
    check = {name: _read(CHECKS[name][0], value, f"{where}, check {name!r}") for name, value in item.check.items()}
    item = item.model_copy(update={"check": check})
    if is_correct(item, item.prompt):
        raise SuiteError(f"{where}: the prompt {item.prompt!r} passes as its own answer; allowed: a check it fails")
    return item


def _read(kind: Any, value: Any, where: str) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        spot = ".".join(map(str, first["loc"])) or "it"
        raise SuiteError(
            f"{where}: {spot} is {first['input']!r}; allowed: {first['msg'].removeprefix('Value error, ')}"
        ) from None
