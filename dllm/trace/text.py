"""Text of token ids. Tokens are pieces of bytes, so a character may be spread over several of them."""

import codecs
from collections.abc import Iterable, Mapping

from dllm.trace.records import Span


def text(ids: Iterable[int], pieces: Mapping[int, str], fragments: Mapping[int, str]) -> str:
    """Decode ids as a whole; bytes that are no UTF-8 become U+FFFD, as `Tokenizer.decode` does it.

    pieces: text by id. fragments: bytes in hex by id, of tokens whose bytes alone are not whole UTF-8 text.
    """
    return b"".join(_bytes(i, pieces, fragments) for i in ids).decode("utf-8", "replace")


def spans(ids: Iterable[int], pieces: Mapping[int, str], fragments: Mapping[int, str]) -> list[Span]:
    """For each id, the range of characters of `text` that it has bytes of; tokens that share a character overlap."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    found: list[Span] = []
    count = 0  # of characters that are complete; bytes behind them belong to the next one
    for i in ids:
        start = None
        for byte in _bytes(i, pieces, fragments):
            fresh = len(decoder.decode(bytes([byte])))
            open_bytes = bool(decoder.getstate()[0])
            own = count + fresh - (not open_bytes)  # the character that this byte is of
            start = own if start is None else start
            count += fresh
        end = count + bool(decoder.getstate()[0])
        found.append((end if start is None else start, end))
    return found


def _bytes(token: int, pieces: Mapping[int, str], fragments: Mapping[int, str]) -> bytes:
    if token in fragments:
        return bytes.fromhex(fragments[token])
    return pieces.get(token, f"<{token}>").encode("utf-8", "replace")
