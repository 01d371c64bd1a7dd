"""Pictures of a trace: what the viewer draws of a run, charts, and the files that a run is saved as.

May import: numpy, plotly, PIL; dllm.trace, the decoders, the documents of dllm.bench, the ground. No model, tokenizer
or page.
"""
