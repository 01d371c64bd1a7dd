"""One chart a module: a function from a trace to a plotly figure, and the `View` that the inspector lists.

May import: numpy, plotly, PIL; dllm.trace, the decoders, the documents of dllm.bench, the ground.
"""
