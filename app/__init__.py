"""The page: layout, controls, handlers, and the thread in which the network works for all visitors.

May import gradio, dllm (engine, traces, settings; no torch, no training) and visualize; nothing imports it but app.py.
"""
