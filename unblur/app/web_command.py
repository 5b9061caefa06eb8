"""`unblur web`: a page in the browser, served by this computer."""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from unblur.app.restore_command import CheckpointName, DeviceName, Flag
from unblur.errors import UnblurError


def web(
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    device: DeviceName = "auto",
    checkpoint: CheckpointName = None,
    no_browser: Flag = False,
) -> int:
    """Restore photographs on a page in the browser. Nothing leaves this computer.

    Needs `pip install 'unblur[web]'`. Ctrl-C ends it, and removes what visitors brought.

    Args:
        host: Who may look: 127.0.0.1 is this computer alone, 0.0.0.0 everybody who can reach it, without a password.
        port: Number of the port.
        device: Where to compute; auto takes an accelerator if there is one.
        checkpoint: Other weights for the modes that invent nothing.
        no_browser: Only say where the page is, do not open it.
    """
    with tempfile.TemporaryDirectory(prefix="unblur-", ignore_cleanup_errors=True) as folder:
        # Uploads too are gone when the program ends. Gradio reads both when it is imported.
        os.environ["GRADIO_TEMP_DIR"] = folder
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        try:
            import gradio as gr
        except ImportError as error:
            raise UnblurError("The page needs gradio, which is missing; run: pip install 'unblur[web]'") from error
        from unblur.app.web_page import build_page
        from unblur.app.web_results import Restorers

        restorers = Restorers(checkpoint, device)
        # What is wrong with the weights or the device should be said here, not to the first visitor.
        restorers.of("faithful")
        page = build_page(restorers, Path(folder))
        try:
            page.launch(
                server_name=host,
                server_port=port,
                inbrowser=not no_browser,
                quiet=True,
                share=False,
                ssr_mode=False,
                prevent_thread_lock=True,
                footer_links=[],
                # Of this computer: a page about private photographs asks nobody for letters.
                theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
            )
        except OSError as error:
            raise UnblurError(f"Port {port} of {host} cannot be used: {error}; give another --port.") from error
        # Whoever ends it in another way than by Ctrl-C means the same.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        sys.stdout.write(f"unblur is at http://{host}:{port} - Ctrl-C ends it.\n")
        sys.stdout.flush()
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            pass
        finally:
            page.close(verbose=False)
    return 0
