"""`unblur web`: a page in the browser, served by this computer."""

import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from unblur.app.options import CheckpointName, DeviceName, Flag
from unblur.app.web_doors import Doors, Presence, is_local
from unblur.errors import UnblurError

LARGEST_PHOTO_BYTES = 200_000_000
"""The largest uploaded file in bytes."""


def web(
    *,
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[int, arg(metavar="N")] = 7860,
    password: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")] = None,
    open: Flag = False,  # noqa: A002 - the name of the option
    device: DeviceName = "auto",
    checkpoint: CheckpointName = None,
    no_browser: Flag = False,
) -> int:
    """Restore photographs on a page in the browser. Nothing leaves this computer.

    Needs `pip install 'unblur[web]'`. Ctrl-C ends it, and removes what visitors brought.

    Args:
        host: Address to serve the page at: 127.0.0.1 is for this computer alone, 0.0.0.0 for everybody who can reach
            it, which needs --password or --open.
        port: Number of the port.
        password: What visitors have to type; the name they type does not matter. It is sent unencrypted, as the
            photographs are.
        open: Let everybody in who can reach --host, without a password.
        device: Where to compute; auto takes an accelerator if there is one.
        checkpoint: Other weights for the modes that invent nothing.
        no_browser: Only say where the page is, do not open it.
    """
    _check_who_may_enter(host, password, open)
    with tempfile.TemporaryDirectory(prefix="unblur-", ignore_cleanup_errors=True) as folder:
        # Uploads too are gone when the program ends. Gradio reads both when it is imported.
        os.environ["GRADIO_TEMP_DIR"] = folder
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        try:
            import fastapi
            import gradio as gr
        except ImportError as error:
            raise UnblurError("The page needs gradio, which is missing; run: pip install 'unblur[web]'") from error
        from unblur.app.web_page import HEAD, STYLE, THEME, build_page
        from unblur.app.web_restorers import Restorers
        from unblur.app.web_visits import Visits

        restorers = Restorers(checkpoint, device)
        # Errors of the weights or the device are reported here, not to the first visitor.
        restorers.get("faithful")
        presence = Presence()
        visits = Visits(Path(folder), presence)
        page = build_page(restorers, visits)
        # Without pages that describe the server to machines.
        app = fastapi.FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app = gr.mount_gradio_app(
            app,
            page,
            path="",
            server_name=host,
            server_port=port,
            footer_links=[],
            run_history=False,
            show_error=False,
            max_file_size=LARGEST_PHOTO_BYTES,
            enable_monitoring=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            theme=THEME,
            head=HEAD,
            css=STYLE,
        )
        doors = Doors(app, host=host, password=password, calls=page.fns, folder=Path(folder), presence=presence)
        # SIGTERM ends the program in the same way as Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with _serve(doors, host, port) as thread, contextlib.suppress(KeyboardInterrupt):
            address = f"http://{_format_host(host)}:{port}"
            sys.stdout.write(f"unblur is at {address} - Ctrl-C ends it.\n")
            sys.stdout.flush()
            if not no_browser:
                import webbrowser

                webbrowser.open(address)
            while thread.is_alive():
                time.sleep(1)
                visits.forget_absent()
    return 0


def _check_who_may_enter(host: str, password: str | None, is_open: bool) -> None:
    """Raise UnblurError if others could reach the page without a password and without --open."""
    if password is not None and is_open:
        raise UnblurError("--password and --open contradict each other; use one.")
    if password is not None and not password.strip():
        raise UnblurError("An empty --password keeps nobody out; give a longer one, or use --open.")
    if not is_local(host) and password is None and not is_open:
        raise UnblurError(
            f"Everybody who can reach {host} could use the page and this computer; add --password TEXT, "
            "or --open if that is what you want."
        )


@contextlib.contextmanager
def _serve(doors: Doors, host: str, port: int) -> Iterator[threading.Thread]:
    """Run the server in a thread inside this context. Raises UnblurError if the port cannot be used."""
    import uvicorn

    with _listen(host, port) as listening:
        config = uvicorn.Config(
            doors, log_level="critical", ws="none", server_header=False, timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while thread.is_alive() and not server.started:
            time.sleep(0.01)
        try:
            yield thread
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at the address. Raises UnblurError where that is not possible."""
    # The system would take a larger number modulo 65,536, and serve the page at another port.
    if not 1 <= port <= 65_535:
        raise UnblurError(f"There is no port {port}; give a --port from 1 to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
        except OSError:
            listening.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise UnblurError(
            f"Port {port} of {host} cannot be used: {reason}; give another --port, or another --host."
        ) from error
    return listening


def _format_host(host: str) -> str:
    """Return the host in the form that addresses in a browser have."""
    if host in ("0.0.0.0", "::", ""):
        return "localhost"
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
