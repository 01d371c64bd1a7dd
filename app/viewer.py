"""The viewer: one HTML component whose page never changes; its script draws what the messages say.

Model text is data from end to end: it travels as an opaque JSON string and reaches the page through textContent. The
template takes no value, because templates are compiled and would run what a model writes.
"""

from collections.abc import Callable
from typing import Any

import gradio as gr

from visualize.export import EXPORTS
from visualize.page import PLOTLY, script, template, words

# what a component's script passes on for plotly.js: fetched by whoever first draws a chart, once for the page
PLOTLY_LOADER = """() => (window.blockscopePlotly ??= new Promise((done, failed) => {
    const node = document.createElement('script');
    node.onload = () => done(window.Plotly);
    node.onerror = () => failed(new Error('plotly.js did not load'));
    node.src = props.plotly;
    document.head.append(node);
  }))"""
MOUNT = f"""
viewer.mount(element.querySelector('.bs'), {{
  ...props.words,
  exports: props.exports,
  read: () => props.value,
  listen: (receive) => watch('value', receive),
  ask: (question) => server.answer(question),
  measure: (run) => trigger('measure', run),
  plotly: {PLOTLY_LOADER},
}});
"""


def viewer(ask: Callable[[Any], Any], **kwargs: Any) -> gr.HTML:
    """The stage. Its value is a message of schema `blockscope.view/1`; `ask` answers the inspector's questions.

    Not a subclass: gradio writes a stub file beside the source of every component class.
    """

    def answer(question: Any) -> Any:
        """What the script calls as `server.answer`; gradio marks it, which it cannot do with a method."""
        return ask(question)

    gr.set_static_paths([PLOTLY])  # the one file; served from here, so that nothing is loaded from elsewhere
    return gr.HTML(
        value=None,
        html_template=template(),
        js_on_load=script() + MOUNT,
        apply_default_css=False,
        server_functions=[answer],
        words=words(),
        exports={name: export.about for name, export in EXPORTS.items()},
        plotly=f"gradio_api/file={PLOTLY}",
        **kwargs,
    )
