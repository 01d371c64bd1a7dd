"""Blockscope's page. `python app.py` serves it on 127.0.0.1:7860; a Space imports `demo`."""

from app.environment import prepare

prepare()  # before gradio and torch are imported

from app.page import build  # noqa: E402

demo = build()

if __name__ == "__main__":
    demo.launch()
