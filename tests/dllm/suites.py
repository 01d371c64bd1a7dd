"""A suite of three prompts, and tiny engines that can be asked it."""

from typing import Any

from dllm.bench.suite import Item, Suite
from dllm.engine import Engine
from tests.dllm.nets import engine_of

SUITE = Suite(
    name="small",
    items=(
        Item(id="a", kind="letter", prompt="a", check={"any": ("x",)}),
        Item(id="b", kind="letter", prompt="b", check={"any": ("y",)}),
        Item(id="c", kind="open", prompt="c"),
    ),
)


class Letters:
    """A tokenizer of one-letter pieces, enough to put prompts to a tiny net and to read its answers."""

    def chat(self, text: str) -> list[int]:
        return [ord(c) % 30 for c in text]

    def decode(self, ids: list[int]) -> str:
        return " ".join("xyz"[i % 3] for i in ids)

    def piece(self, token: int) -> str:
        return "xyz"[token % 3]

    def fragment(self, token: int) -> bytes | None:
        return None

    def texts(self, ids: set[int]) -> tuple[dict[int, str], dict[int, str]]:
        return {i: self.piece(i) for i in ids}, {}


def engine(spec: Any) -> Engine:
    return with_letters(engine_of(spec))


def with_letters(made: Engine) -> Engine:
    made.tokenizer = Letters()  # type: ignore[assignment]
    object.__setattr__(made.model, "tokenizer", made.tokenizer)
    return made
