"""A run that is being decoded, as it stands."""

from contextlib import ExitStack
from pathlib import Path

from app.limits import MAPS_BYTES
from dllm.engine.run import Run
from dllm.trace import Trace
from dllm.trace.attention import Maps, MapsWriter
from visualize.replay import Replay
from visualize.view import QuestionError


class Live:
    """The lanes of a run as they stand, for the inspector; also of a run that was stopped."""

    shared = False

    def __init__(self, folder: Path) -> None:
        """folder: for attention maps."""
        self.folder = folder
        self._runs: dict[str, Run] = {}
        self._traces: dict[str, Trace] = {}
        self._maps: dict[str, Path] = {}  # of lanes whose file is complete

    def begin(self, name: str, run: Run) -> None:
        """A lane begins."""
        self._runs[name] = run

    def end(self, name: str, trace: Trace) -> None:
        """A lane has ended: its trace is all that is kept of it, not the model. Called again when more is known."""
        self._traces[name] = trace
        self._runs.pop(name, None)

    def settle(self) -> None:
        """No lane goes on: what was decoded of those that did not end is kept, and their models are not."""
        self._record()
        self._runs.clear()

    def observer(self, name: str, stack: ExitStack) -> MapsWriter:
        """Writes the attention maps of a lane until the stack ends."""
        path = self.folder / f"{name}.attention.npz"
        stack.callback(self._maps.__setitem__, name, path)
        return stack.enter_context(MapsWriter(path, MAPS_BYTES))

    def replay(self) -> Replay:
        """The lanes by now.

        Raises:
            QuestionError: no step was made.
        """
        self._record()
        if not self._traces:
            raise QuestionError("This run ended before its first step.")
        maps = {name: Maps.open(path) for name, path in self._maps.items()}
        return Replay(dict(self._traces), maps, live=True)

    def bytes(self) -> int:
        """Memory of its traces, about."""
        return sum(trace.nbytes for trace in list(self._traces.values()))

    def _record(self) -> None:
        """Traces of the lanes that go on, where they have new steps."""
        for name, run in list(self._runs.items()):
            known = self._traces.get(name)
            if run.records and (known is None or len(run.records) != len(known.steps)):
                self._traces[name] = run.trace()
