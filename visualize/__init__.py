"""Pictures of a decoding: pure functions from steps and traces to what a page draws. No torch, no gradio."""
