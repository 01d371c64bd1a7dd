"""How the page is served: which hosts it answers to, what a browser may do with it, and errors as sentences."""

import os
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import gradio as gr
from gradio.exceptions import Error
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.folders import clean_when_terminated
from app.limits import QUEUE
from app.look import CSS, THEME
from app.viewer import PLOTLY_URL
from visualize.export.html import PLOTLY

_HOSTS = "GRADIO_ALLOWED_HOSTS"  # more names of this page, separated by commas; "*.NAME": all below it
_SPACES = "*.hf.space"
POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # gradio compiles its templates
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self' https://huggingface.co https://*.hf.space",
    ]
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}


class Page(gr.Blocks):
    """Blocks that are launched as `launch_kwargs` says, and that refuse a bad value with a sentence."""

    def launch(self, **kwargs: Any) -> Any:  # type: ignore[override]
        """Serve the page; a name given here wins over `launch_kwargs`."""
        if not kwargs.get("prevent_thread_lock"):
            clean_when_terminated()
        return super().launch(**{**launch_kwargs(), **kwargs})

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **more: Any) -> Any:
        """The values of the components.

        Raises:
            Error: a component does not take its value. Gradio alone would answer {"error": null} and log a traceback.
        """
        try:
            return await super().preprocess_data(block_fn, inputs, *rest, **more)
        except Error as error:
            text = str(error.message).encode("utf-8", "replace").decode()  # half a character could not be sent
            raise gr.Error(text, print_exception=False) from None
        except Exception:
            raise gr.Error("A value does not have the form that its control gives.", print_exception=False) from None


class Guard:
    """Answers only requests to known hosts, because a foreign name may have been bound to this address (DNS rebinding).

    To every answer it adds _HEADERS. hosts: as `allowed` takes them.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if not allowed(Request(scope).headers.get("host", ""), self.hosts):
            refused = PlainTextResponse(f"The host is not known here; allowed: see {_HOSTS}.", 400)
            return await refused(scope, receive, send)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        return await self.app(scope, receive, send_guarded)


def allowed(host: str, hosts: Sequence[str]) -> bool:
    """Whether a Host header names one of `hosts`, this machine, or an address, which no one can bind to another."""
    name = host.rsplit("]", 1)[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    name = name.lower().rstrip(".")
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost" or any(
            name == known or (known.startswith("*.") and name.endswith(known[1:])) for known in hosts
        )
    return True


def hosts(server_name: str) -> list[str]:
    """The names that a server bound to `server_name` answers to."""
    given = os.environ.get(_HOSTS, "").split(",")
    return [name.strip().lower() for name in (server_name, _SPACES, *given) if name.strip()]


def plotly(request: Request) -> FileResponse:
    """plotly.js from this server: nothing is loaded from elsewhere, and its path here stays private."""
    return FileResponse(PLOTLY, media_type="text/javascript", headers={"Cache-Control": "public, max-age=86400"})


def launch_kwargs() -> dict[str, Any]:
    """How the page is served, here and in tests."""
    name = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    return {
        "theme": THEME,
        "css": CSS,
        "run_history": False,
        "footer_links": ["api"],
        "enable_monitoring": False,
        "state_session_capacity": 200,
        "max_file_size": "32mb",
        "max_threads": 2 * QUEUE,  # every visitor in the line occupies a sleeping thread
        "ssr_mode": False,
        "server_name": name,
        "server_port": int(os.environ.get("GRADIO_SERVER_PORT") or os.environ.get("PORT") or 7860),
        "app_kwargs": {
            "middleware": [Middleware(Guard, hosts=hosts(name))],
            "routes": [Route(f"/{PLOTLY_URL}", plotly)],
        },
    }
