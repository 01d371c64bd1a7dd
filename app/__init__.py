"""The page: layout, controls, handlers of events, and the thread that the network works in.

May import: gradio, starlette, anyio; visualize; dllm.bench and the documents of dllm.bench; dllm.engine, dllm.trace,
the decoders, the ground.
"""
