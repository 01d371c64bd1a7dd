"""The files that a run is saved as: a page, a GIF, a table, the trace itself.

May import: numpy, plotly, PIL; dllm.trace, the decoders, the documents of dllm.bench, the ground.
"""
