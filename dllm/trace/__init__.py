"""The trace of a run, a record of every step, and all that is derived from it alone.

May import: pydantic, numpy, rapidfuzz; the ground.
"""

from dllm.trace.errors import TraceError
from dllm.trace.records import StepRecord, record
from dllm.trace.schema import Trace

__all__ = ["StepRecord", "Trace", "TraceError", "record"]
