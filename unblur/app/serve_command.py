"""`unblur serve`: restoration over HTTP, for other programs."""

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from unblur.app.options import CheckpointName, DeviceName, Flag, Number, OptionalFile, Quiet
from unblur.errors import UnblurError
from unblur.names import Runtime
from unblur.regular_files import describe_read_error
from unblur.service.addresses import format_host, listen

if TYPE_CHECKING:
    from unblur.service.application import Service

KEY_VARIABLE = "UNBLUR_API_KEY"
"""Environment variable with an API key."""

SENDING_S = 5
"""Time in seconds for sending the last answers after the drain."""

TICK_S = 0.05

Limit = Annotated[float, arg(metavar="N")]


def serve(
    *,
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1",
    port: Number = 8000,
    key_file: OptionalFile = None,
    max_megabytes: Limit = 50,
    max_megapixels: Limit = 50,
    queue: Number = 16,
    per_client: Number = 8,
    time_limit: Annotated[float, arg(metavar="SECONDS")] = 300,
    drain_limit: Annotated[float, arg(metavar="SECONDS")] = 60,
    jobs: Number = 2,
    restore_sharp: Flag = False,
    device: DeviceName = "auto",
    checkpoint: CheckpointName = None,
    runtime: Annotated[Runtime, arg(metavar="auto|torch|onnx|openvino")] = "auto",
    quiet: Quiet = False,
) -> int:
    """Restore photographs for other programs over HTTP. Nothing is written to disk.

    Needs `pip install 'unblur[serve]'`. Try: `curl -F photograph=@photo.jpg localhost:8000/restore -o sharper.jpg`.
    /openapi.json describes all addresses. Ctrl-C or SIGTERM end it after the photographs that are in work or waiting.

    Args:
        host: Address to serve at: 127.0.0.1 is for this computer alone, 0.0.0.0 for everybody who can reach it, which
            needs an API key.
        port: Number of the port.
        key_file: File with API keys, one a line, each of 16 letters or more; clients send one of them. The environment
            variable UNBLUR_API_KEY may hold a single key instead.
        max_megabytes: Size of the largest upload.
        max_megapixels: Size of the largest photograph.
        queue: Number of requests that may wait; others are answered with 503 and the time to try again.
        per_client: Number of requests of one client that may wait or be in work; others are answered with 429.
        time_limit: Time of a request, with its upload and the wait in the queue.
        drain_limit: Time for the photographs that are in work or waiting when the service is to end.
        jobs: Photographs in memory at a time: while the network restores one, others are decoded and encoded.
        restore_sharp: Also restore photographs that are sharp already, as requests may ask with restore_sharp=true.
        device: Where to compute; auto takes an accelerator if there is one.
        checkpoint: Other weights for the modes that invent nothing.
        runtime: Library that runs the network, as in `unblur restore`.
        quiet: Write no line for each request.
    """
    if jobs < 1:
        raise UnblurError(f"--jobs {jobs} restores nothing; use 1 or more.")
    keys = _read_keys(key_file)
    try:
        from unblur.service.access import Access
        from unblur.service.application import Service
        from unblur.service.limits import Limits
    except ImportError as error:
        raise UnblurError(
            f"The service needs {error.name}, which is missing; run: pip install 'unblur[serve]'"
        ) from error

    limits = Limits(
        megabytes=max_megabytes,
        megapixels=max_megapixels,
        queue=queue,
        per_client=per_client,
        time_s=time_limit,
        drain_s=drain_limit,
    )
    access = Access(host, keys)
    with listen(host, port) as listening, _StopRequest() as stop:
        from unblur.app.restorers import Restorers
        from unblur.app.serve_engine import RestoringEngine

        engine = RestoringEngine(
            Restorers(checkpoint, device, runtime=runtime),
            leave_sharp=checkpoint is None and not restore_sharp,
            most_pixels=limits.pixels,
        )
        service = Service(engine, access, limits, jobs=jobs, quiet=quiet)
        with _Server(service, listening) as server:
            _load(service, stop)
            if not stop.is_requested:
                sys.stdout.write(f"unblur serves at http://{format_host(host)}:{port} - Ctrl-C ends it.\n")
                sys.stdout.flush()
            while server.is_alive and not stop.is_requested:
                time.sleep(TICK_S)
            if not server.is_alive:
                raise UnblurError("The HTTP server ended unexpectedly; start the service again.")
            server.drain(limits.drain_s)
    return 0


def _read_keys(file: Path | None) -> list[str]:
    """Return the API keys. Raises UnblurError for a file that cannot be read or is empty, and for two sources."""
    variable = os.environ.get(KEY_VARIABLE)
    if file is None:
        if variable is not None and not variable.strip():
            raise UnblurError(f"The environment variable {KEY_VARIABLE} is empty; set it to a key, or unset it.")
        return [variable.strip()] if variable else []
    if variable is not None:
        raise UnblurError(f"--key-file and the environment variable {KEY_VARIABLE} contradict each other; use one.")
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnblurError(
            f"The keys in {file} cannot be read: {describe_read_error(error)}; give another --key-file."
        ) from error
    keys = [line.strip() for line in lines if line.strip()]
    if not keys:
        raise UnblurError(f"{file} holds no key; write one on each line.")
    return keys


def _load(service: "Service", stop: "_StopRequest") -> None:
    """Load the networks in a thread, unless a stop is requested before they are loaded. Raises UnblurError."""
    errors: list[Exception] = []

    def load() -> None:
        try:
            service.queue.load()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    while thread.is_alive() and not stop.is_requested:
        thread.join(TICK_S)
    if errors:
        raise errors[0]


class _StopRequest:
    """Context in which SIGTERM and Ctrl-C request a stop; Ctrl-C once more raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.is_requested = False
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> "_StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                # Shells let programs in the background ignore Ctrl-C.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._earlier[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def _on_signal(self, *_: object) -> None:
        self.is_requested = True
        if signal.SIGINT in self._earlier:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class _Server:
    """Context in which a thread serves the application of a service."""

    def __init__(self, service: "Service", listening: Any) -> None:
        import uvicorn

        self._service = service
        config = uvicorn.Config(
            service.exchanges,
            log_level="critical",
            access_log=False,
            ws="none",
            server_header=False,
            # The address in a request's own headers cannot be trusted.
            proxy_headers=False,
            timeout_graceful_shutdown=SENDING_S,
        )
        self._server = uvicorn.Server(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=[self._server.serve(sockets=[listening])], daemon=True
        )

    @property
    def is_alive(self) -> bool:
        """True as soon as the server accepts requests."""
        return self._thread.is_alive()

    def __enter__(self) -> "_Server":
        self._thread.start()
        while self.is_alive and not self._server.started:
            time.sleep(TICK_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(SENDING_S + 1)
        self._service.queue.close()

    def drain(self, limit_s: float) -> None:
        """Wait until the requests that were admitted have their answers, or the limit is over and they have refusals.

        Until then the server goes on to answer, so that new requests receive a sentence and not a closed port.
        """
        asyncio.run_coroutine_threadsafe(self._service.queue.drain(limit_s), self._loop).result()
        until = time.monotonic() + SENDING_S
        while self._service.exchanges.open and time.monotonic() < until:
            time.sleep(TICK_S)
