"""Attention maps: the side file `blockscope.attention/1` beside a trace, a zip of one small array a step and layer.

Written while a run decodes and read layer by layer, so that neither side ever holds all of it.
"""

import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from dllm.trace.errors import TraceError
from dllm.trace.schema import Trace

_SCHEMA = "blockscope.attention/1"
MAX_BYTES = 64 * 2**20  # of arrays, unpacked
MAX_MEMBERS = 2**16  # arrays of one file, each of which is opened when it is checked
ABOUT = "about.json"
_ABOUT_BYTES = 2**20
# what zipfile and zlib raise for a file that is damaged or means harm, besides ValueError
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OverflowError, MemoryError)
_PROBABILITIES = ((np.arange(256) / 255) ** 2).astype(np.float32)


def quantise(p: np.ndarray) -> np.ndarray:
    """Probabilities as uint8, round(255 √p): most are tiny, so small ones get the fine steps.

    `restore` of it is off by at most √p/255 + 510⁻²; below 510⁻², about 4·10⁻⁶, it is 0.
    """
    return np.rint(255 * np.sqrt(np.clip(p, 0, 1, dtype=np.float32))).astype(np.uint8)


def restore(u: np.ndarray) -> np.ndarray:
    """The probabilities of `quantise`, (u/255)², float32."""
    return np.take(_PROBABILITIES, u)


class _About(BaseModel):
    """The member that says what the others are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["blockscope.attention/1"] = Field(_SCHEMA, alias="schema")
    layers: NonNegativeInt
    heads: NonNegativeInt
    steps: list[NonNegativeInt]
    dropped: NonNegativeInt
    cap: Annotated[int, Field(ge=0, le=MAX_BYTES)]


class MapsWriter:
    """Writes maps step by step, `with MapsWriter(path) as writer: writer.add(0, maps)`; closing makes it whole."""

    def __init__(self, path: str | Path | IO[bytes], cap: int = MAX_BYTES) -> None:
        """cap: bytes of maps, unpacked. The first step beyond it or beyond MAX_MEMBERS is dropped, and all after it.

        Raises:
            ValueError: a cap above what is read again.
        """
        if not 0 <= cap <= MAX_BYTES:
            raise ValueError(f"cap is {cap} bytes; allowed: 0 to {MAX_BYTES}")
        self.cap, self.dropped = cap, 0
        self.steps: list[int] = []
        self._bytes = self._layers = self._heads = 0
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)

    def __enter__(self) -> "MapsWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, step: int, maps: np.ndarray) -> None:
        """Keep the probabilities of a step, (layers, heads, queries, visible), unless the cap is reached."""
        members = (len(self.steps) + 1) * len(maps)
        if self.dropped or self._bytes + maps.size > self.cap or members > MAX_MEMBERS:
            self.dropped += 1
            return
        self._layers, self._heads = maps.shape[:2]
        for layer, probs in enumerate(maps):
            with self._zip.open(_member(step, layer), "w") as file:
                np.lib.format.write_array(file, quantise(probs), allow_pickle=False)
        self._bytes += maps.size
        self.steps.append(step)

    def close(self) -> None:
        """Say what was kept, and close the file; more than once does nothing."""
        if self._zip.fp is None:
            return
        about = {"schema": _SCHEMA, "layers": self._layers, "heads": self._heads, "steps": self.steps}
        self._zip.writestr(zipfile.ZipInfo(ABOUT), json.dumps(about | {"dropped": self.dropped, "cap": self.cap}))
        self._zip.close()


class Maps:
    """Attention maps of a run, read as they are asked for; from several threads if need be.

    steps: those that were kept, from 0. dropped: how many were not, because the cap was reached.
    """

    def __init__(self, source: Path | bytes, about: _About) -> None:
        """Use `Maps.open`."""
        self._source, self._cap = source, about.cap
        self.layers, self.heads, self.steps, self.dropped = about.layers, about.heads, about.steps, about.dropped

    @classmethod
    def open(cls, source: str | Path | bytes) -> "Maps":
        """Maps of a file, or of a file's bytes.

        Raises:
            TraceError: it is no such file, or a part is missing; says which.
        """
        source = source if isinstance(source, bytes) else Path(source)
        with _archive(source) as archive:
            with archive.open(ABOUT) as file:
                text = file.read(_ABOUT_BYTES + 1)
            if len(text) > _ABOUT_BYTES:
                raise TraceError(f"{ABOUT} has more than {_ABOUT_BYTES} bytes, which is the most allowed")
            about = _About.model_validate_json(text)
            there = set(archive.namelist())
            if len(there) > MAX_MEMBERS + 1:
                raise TraceError(f"it has {len(there)} members; allowed: {MAX_MEMBERS + 1}")
            if about.steps != sorted(set(about.steps)):
                raise TraceError(f"steps in {ABOUT} are not ascending; allowed: each once, in order")
        needed = (_member(step, layer) for step in about.steps for layer in range(about.layers))
        if missing := next((name for name in needed if name not in there), None):
            raise TraceError(f"not a valid attention file: {missing} is missing")
        return cls(source, about)

    @property
    def note(self) -> str:
        """A sentence where steps were dropped, else ""."""
        if not self.dropped:
            return ""
        kept = f"steps {self.steps[0] + 1}-{self.steps[-1] + 1}" if self.steps else "none"
        total, cap = len(self.steps) + self.dropped, self._cap / 2**20
        reached = f"the cap of {cap:.3g} MiB, or of {MAX_MEMBERS} maps, was reached"
        return f"Attention was kept for {kept} of {total}: {reached}."

    def layer(self, step: int, layer: int) -> np.ndarray:
        """Probabilities of one layer, float32 (heads, queries, visible); rows sum to 1, or to 0 if all are 0.

        Raises:
            TraceError: an unknown step or layer, or a damaged file.
        """
        self._known(step, layer)
        with _archive(self._source) as archive:
            return _rows(restore(self._packed(archive, step, layer)))

    def mean(self, step: int) -> np.ndarray:
        """The mean over the heads of every layer, float32 (layers, queries, visible); rows sum to 1.

        Raises:
            TraceError: an unknown step, or a damaged file.
        """
        self._known(step, 0)
        with _archive(self._source) as archive:
            return np.stack([_rows(_head_mean(self._packed(archive, step, n))) for n in range(self.layers)])

    def check(self, trace: Trace) -> None:
        """Refuse a trace that these are not the maps of.

        Raises:
            TraceError: a step or a shape that does not fit; says which.
        """
        model = trace.model
        if self.steps and (self.layers, self.heads) != (model.layers, model.heads):
            raise TraceError(
                f"attention has {self.layers} layers of {self.heads} heads; the trace {model.layers} of {model.heads}"
            )
        room = MAX_BYTES
        with _archive(self._source) as archive:
            for step in self.steps:
                if step >= len(trace.steps):
                    raise TraceError(f"attention is of step {step}; the trace has {len(trace.steps)} steps")
                record = trace.steps[step]
                wanted = (self.heads, record.query_count, record.visible)
                room -= self.layers * math.prod(wanted)
                if room < 0:
                    raise TraceError(f"attention up to step {step} unpacks to too much; allowed: {MAX_BYTES} bytes")
                for layer in range(self.layers):
                    with archive.open(_member(step, layer)) as file:
                        shape = _shape(file, np.dtype(np.uint8))
                    if shape != wanted:
                        raise TraceError(f"attention of step {step}, layer {layer} is {shape}; the trace's {wanted}")

    def _known(self, step: int, layer: int) -> None:
        for what, value, allowed in (("step", step, self.steps), ("layer", layer, range(self.layers))):
            if value not in allowed:
                span = f"{allowed[0]} to {allowed[-1]}" if allowed else "none"
                raise TraceError(f"{what} is {value!r}; allowed: {span}")

    def _packed(self, archive: zipfile.ZipFile, step: int, layer: int) -> np.ndarray:
        found = read_array(archive, _member(step, layer), np.dtype(np.uint8), limit=MAX_BYTES)
        if found.ndim != 3:
            raise TraceError(f"attention of step {step}, layer {layer} is {found.shape}; allowed: three axes")
        return found


def read_array(archive: zipfile.ZipFile, name: str, dtype: np.dtype, *, limit: int) -> np.ndarray:
    """The array of a member `name` of an .npz, of this type only and of at most `limit` bytes; nothing is unpickled.

    Raises:
        ValueError: another type, too large, or cut off; KeyError: no such member.
    """
    with archive.open(name) as file:
        shape = _shape(file, dtype)
        size = math.prod(shape) * dtype.itemsize
        if not 0 <= size <= limit:
            raise TraceError(f"{name} unpacks to {size} bytes; allowed: {limit}")
        # asked for by size: reading "to the end" would unpack gigabytes of zeros before anything could be checked
        raw = file.read(size)
    if len(raw) != size:
        raise TraceError(f"{name} ends after {len(raw)} of {size} bytes")
    return np.frombuffer(raw, dtype).reshape(shape)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn whatever a damaged file brings about into a TraceError that says so."""
    try:
        yield
    except TraceError:
        raise
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc'])) or what}: {e['msg']}" for e in error.errors()[:5]]
        raise TraceError(f"not a valid {what} file: {'; '.join(faults)}") from None
    except KeyError as error:
        raise TraceError(f"not a valid {what} file: {error.args[0]}") from None
    except (*_DAMAGE, ValueError) as error:
        raise TraceError(f"not a valid {what} file: {error}") from None


@contextmanager
def _archive(source: Path | bytes) -> Iterator[zipfile.ZipFile]:
    """Opened for each read: a shared file position would not survive two threads."""
    with reading("attention"), zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
        yield archive


def _shape(file: IO[bytes], dtype: np.dtype) -> tuple[int, ...]:
    """The shape that an .npy header gives, if the rest is as our writers write it."""
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"an array of .npy version {version}; allowed: (1, 0)")
    shape, fortran, found = np.lib.format.read_array_header_1_0(file)
    if found != dtype or fortran:
        raise ValueError(f"an array of {found}{', by columns' if fortran else ''}; allowed: {dtype}, by rows")
    return shape


def _member(step: int, layer: int) -> str:
    return f"s{step}l{layer}.npy"


def _rows(p: np.ndarray) -> np.ndarray:
    """Rows scaled to sum to 1; where all is 0 it stays."""
    total = p.sum(-1, keepdims=True)
    return p / np.where(total > 0, total, 1)


def _head_mean(packed: np.ndarray) -> np.ndarray:
    """The mean of a layer's heads, each row scaled first; one pass over the largest array there is."""
    p = restore(packed)
    total = p.sum(-1)
    return np.einsum("hqk,hq->qk", p, 1 / np.where(total > 0, total, 1) / len(p))
