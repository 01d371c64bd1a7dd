"""The viewer: one HTML component whose page never changes; its script draws what the messages say.

Model text is data from end to end: it travels as an opaque JSON string and reaches the page through textContent. The
template takes no value, because templates are compiled and would run what a model writes.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr

from visualize.export.formats import EXPORTS
from visualize.export.html import viewer_script, viewer_template, viewer_texts

PLOTLY_URL = "plotly.min.js"  # relative to the page; app.serving answers it
# how a component's script gets plotly.js: fetched when the first chart is drawn, once for the page
PLOTLY_LOADER = """() => (window.blockscopePlotly ??= new Promise((done, failed) => {
    const node = document.createElement('script');
    node.onload = () => done(window.Plotly);
    node.onerror = () => failed(new Error('plotly.js did not load'));
    node.src = props.plotly;
    document.head.append(node);
  }))"""
_MOUNT = f"""
viewer.mount(element.querySelector('.bs'), {{
  ...props.words,
  exports: props.exports,
  read: () => props.value,
  listen: (receive) => watch('value', receive),
  ask: (question) => server.answer(question),
  busy: () => trigger('busy'),
  measure: (run) => trigger('measure', run),
  plotly: {PLOTLY_LOADER},
}});
"""


def viewer(answer: Callable[[Any], Awaitable[Any]]) -> gr.HTML:
    """The stage. Its value is a message of schema `blockscope.view/1`; `answer` answers the inspector's questions.

    Not a subclass: gradio writes a stub file beside the source of every component class.
    """
    return gr.HTML(
        value=None,
        html_template=viewer_template(),
        js_on_load=viewer_script() + _MOUNT,
        apply_default_css=False,
        server_functions=[answer],  # the script calls it by this name
        words=viewer_texts(),
        exports={name: export.about for name, export in EXPORTS.items()},
        plotly=PLOTLY_URL,
        elem_id="viewer",
    )
