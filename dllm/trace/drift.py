"""What a cache did to the answer: cached keys and values beside fresh ones. Schema `blockscope.drift/1`, an .npz.

`dllm.engine.drift` measures it; nothing here needs a model.
"""

import io
import zipfile
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from dllm.files import atomic_write
from dllm.trace.attention import read_array, reading
from dllm.trace.errors import TraceError
from dllm.trace.schema import Trace

_SCHEMA = "blockscope.drift/1"
MAX_DRIFT_CELLS = 24_000_000  # steps × layers × positions
_CHANGE = np.dtype(np.float64)  # holds every token id and confidence exactly
_HALF = np.dtype(np.float16)


@dataclass(frozen=True, slots=True)
class Change:
    """An asked position whose best token (no temperature, no nucleus) the cache changed.

    token, confidence: of the pass with the cache; fresh_token, fresh_confidence: of the pass without.
    committed: whether the step committed the position.
    """

    step: int
    position: int
    token: int
    confidence: float
    fresh_token: int
    fresh_confidence: float
    committed: bool


_FIELDS = len(fields(Change))


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """Cached entries against those of a pass that recomputes everything visible, at every step of a trace.

    keys, values: 1 - cosine, heads of a position concatenated; float16 (steps, layers, positions), NaN where the step
        sees no cache entry. positions = the largest `visible`. Keys are rotated by their position, which changes no
        cosine at one position.
    paths: the first two principal components, over the steps, of the fresh keys of each layer and position (d²Cache,
        arXiv 2509.23094, Fig. 2a); float16 (layers, positions, steps, 2), NaN where not visible.
    """

    keys: np.ndarray
    values: np.ndarray
    paths: np.ndarray
    changed: tuple[Change, ...]

    def save(self, path: str | Path) -> None:
        """Write a compressed .npz, whole or not at all."""
        changed = np.array([astuple(change) for change in self.changed], _CHANGE).reshape(-1, _FIELDS)
        with atomic_write(path) as part, part.open("wb") as file:
            np.savez_compressed(
                file, keys=self.keys, values=self.values, paths=self.paths, changed=changed, schema=_schema()
            )

    @classmethod
    def load(cls, source: str | Path | bytes) -> "Drift":
        """Read a file, or a file's bytes.

        Raises:
            TraceError: it is no such file, or larger than MAX_DRIFT_CELLS; says which.
        """
        file = io.BytesIO(source) if isinstance(source, bytes) else Path(source)
        with reading("drift"), zipfile.ZipFile(file) as archive:
            schema = read_array(archive, "schema.npy", np.dtype(np.uint8), limit=100).tobytes()
            if schema != _SCHEMA.encode():
                raise TraceError(f"schema is {schema.decode(errors='replace')!r}; allowed: {_SCHEMA!r}")
            keys = read_array(archive, "keys.npy", _HALF, limit=MAX_DRIFT_CELLS * 2)
            values = read_array(archive, "values.npy", _HALF, limit=MAX_DRIFT_CELLS * 2)
            paths = read_array(archive, "paths.npy", _HALF, limit=MAX_DRIFT_CELLS * 4)
            changed = read_array(archive, "changed.npy", _CHANGE, limit=MAX_DRIFT_CELLS)
            if keys.ndim != 3 or values.shape != keys.shape or paths.shape != (*keys.shape[1:], keys.shape[0], 2):
                shapes = f"keys {keys.shape}, values {values.shape}, paths {paths.shape}"
                raise TraceError(f"{shapes} do not fit together; allowed: (s, l, p), (s, l, p), (l, p, s, 2)")
            if changed.ndim != 2 or changed.shape[1] != _FIELDS or not np.isfinite(changed).all():
                raise TraceError(f"changed is {changed.shape}; allowed: rows of {_FIELDS} finite numbers")
            return cls(keys, values, paths, tuple(map(_change, changed.tolist())))

    def check(self, trace: Trace) -> None:
        """Refuse a trace that this is not the drift of.

        Raises:
            TraceError: a shape, step or position that does not fit; says which.
        """
        wanted = shape_of(trace)
        if self.keys.shape != wanted:
            raise TraceError(f"drift is of {self.keys.shape} steps, layers and positions; the trace has {wanted}")
        for change in self.changed:
            step = change.step
            if not 0 <= step < len(trace.steps) or change.position not in trace.steps[step].positions:
                raise TraceError(f"drift changes position {change.position} in step {step}, which did not ask for it")

    def largest(self) -> tuple[float, int]:
        """The largest mean drift of the keys that a step sees, over layers and positions, and the first such step."""
        means = np.nanmean(self.keys.astype(np.float32), axis=(1, 2))
        return float(means.max()), int(means.argmax())


def shape_of(trace: Trace) -> tuple[int, int, int]:
    """Steps, layers and positions of a trace's drift."""
    return len(trace.steps), trace.model.layers, max([0, *(record.visible for record in trace.steps)])


def _schema() -> np.ndarray:
    """As bytes: a text array's type would hold its length, which a reader that allows one type cannot know."""
    return np.frombuffer(_SCHEMA.encode(), np.uint8)


def _change(row: list[float]) -> Change:
    step, position, token, confidence, fresh_token, fresh_confidence, committed = row
    return Change(int(step), int(position), int(token), confidence, int(fresh_token), fresh_confidence, bool(committed))
