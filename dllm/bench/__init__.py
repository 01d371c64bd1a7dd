"""Benchmarks: suites, answers that are checked, passes that are timed, and the documents that keep the figures.

The documents of dllm.bench may import pydantic, numpy, tabulate. May import: dllm.engine, dllm.models, the decoders,
dllm.trace, the ground; pydantic, numpy and tabulate in the documents of dllm.bench.
"""
