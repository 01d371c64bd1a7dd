"""The viewer: one HTML component whose page never changes; its script draws what the messages say.

Model text is data from end to end: it travels as an opaque JSON string and reaches the page through textContent. The
template takes no value, because templates are compiled and would run what a model writes.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from dllm.metrics import DEFINITIONS
from visualize.lane import LANES

FOLDER = Path(__file__).resolve().parent.parent / "assets/viewer"
MOUNT = """
mount(element.querySelector('.bs'), {
  titles: props.titles,
  definitions: props.definitions,
  read: () => props.value,
  listen: (receive) => watch('value', receive),
});
"""


def template() -> str:
    """The static page of the viewer with its style sheet."""
    style, body = (FOLDER / "viewer.css").read_text(), (FOLDER / "viewer.html").read_text()
    return f"<style>{style}</style>\n{body}"


def script() -> str:
    """The viewer's script: its parts in the order of their names. It defines `mount`."""
    return "\n".join(part.read_text() for part in sorted(FOLDER.glob("*.js")))


def viewer(**kwargs: Any) -> gr.HTML:
    """The stage. Its value is a message of schema `blockscope.view/1`.

    Not a subclass: gradio writes a stub file beside the source of every component class.
    """
    return gr.HTML(
        value=None,
        html_template=template(),
        js_on_load=script() + MOUNT,
        apply_default_css=False,
        titles={name: asdict(title) for name, title in LANES.items()},
        definitions=DEFINITIONS,
        **kwargs,
    )
