"""`unblur web`: a page in the browser, served by this computer."""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from unblur.app.options import CheckpointName, DeviceName, Flag
from unblur.app.web.doors import Doors, Presence
from unblur.errors import UnblurError
from unblur.service.addresses import format_host, is_local, listen

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
        password: Password that visitors have to type; the name they type does not matter. It is sent unencrypted, as
            the photographs are.
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
        from unblur.app.restorers import Restorers
        from unblur.app.web.page import HEAD, STYLE, THEME, build_page
        from unblur.app.web.results import BLENDED
        from unblur.app.web.visits import Visits

        restorers = Restorers(checkpoint, device, BLENDED)
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
            address = f"http://{format_host(host)}:{port}"
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

    with listen(host, port) as listening:
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
