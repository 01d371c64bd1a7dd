"""Documents: the conversations that training learns from, and their files of JSON lines.

Every batch has a seed of its own, so a resumed file equals an uninterrupted one.
"""

import gzip
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from dllm.files import write_file


@dataclass(frozen=True, slots=True)
class Document:
    """One conversation: ids up to the assistant's turn, and the answer's, with a stop token unless it was cut."""

    batch: int
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]


# a batch's number, and the prompts that exist already → its documents; None behind the last batch
Batch = Callable[[int, Collection[tuple[int, ...]]], Iterable[Document] | None]


def write_documents(
    out: Path, batch: Batch, *, documents: int, report: Callable[[str], None] = lambda line: None
) -> int:
    """Append batches to `out` (JSON lines) until it holds `documents`; returns how many it holds.

    An existing file is continued; its last batch, which may be torn, is written again.

    Raises:
        ValueError: documents is below 1.
    """
    if documents < 1:
        raise ValueError(f"documents is {documents}; allowed: 1 or more")
    done = _resume(out)
    seen = {d.prompt_ids for d in done}
    count, number = len(done), done[-1].batch + 1 if done else 0
    with out.open("a") as file:
        while count < documents and (more := batch(number, seen)) is not None:
            fresh = list(more)
            seen.update(d.prompt_ids for d in fresh)
            file.write("".join(json.dumps(asdict(d)) + "\n" for d in fresh))
            file.flush()
            count, number = count + len(fresh), number + 1
            report(f"batch {number}: {len(fresh)} documents, {count} of {documents}")
    return count


def read_documents(path: Path) -> list[Document]:
    """Every document of a file, which may be compressed (.gz).

    Raises:
        ValueError: a line that is not a document; says which.
    """
    documents, raw = [], path.read_bytes()
    text = gzip.decompress(raw) if path.suffix == ".gz" else raw
    for number, line in enumerate(text.decode().splitlines(), 1):
        try:
            d = json.loads(line)
            documents.append(Document(d["batch"], tuple(d["prompt_ids"]), tuple(d["answer_ids"])))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} line {number} is not a document: {error}") from None
    return documents


def _resume(out: Path) -> list[Document]:
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        return []
    lines = out.read_text().splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    batches = [json.loads(line)["batch"] for line in lines]
    kept = [line for line, number in zip(lines, batches, strict=True) if number != batches[-1]]
    write_file(out, "".join(kept))
    return read_documents(out)
