"""Services in this process: around the real restorer, and around an engine that a test can hold."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import torch
from starlette.testclient import TestClient

from tests.service.held_engine import MOST_PIXELS, HeldEngine, MakeClient
from unblur.app.restorers import Restorers
from unblur.app.serve_engine import RestoringEngine
from unblur.service.access import Access
from unblur.service.application import Service
from unblur.service.engine import Engine
from unblur.service.limits import Limits

LOCAL = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Use one thread: with pictures this small more threads only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """Return clients of new services; `client.app` is the service's ASGI application."""
    with ExitStack() as stack:

        def make(
            engine: Engine, *keys: str, host: str = "127.0.0.1", loaded: bool = True, jobs: int = 2, **limits: float
        ) -> tuple[TestClient, Service]:
            service = Service(engine, Access(host, keys), Limits(**limits), jobs=jobs, quiet=True)  # type: ignore[arg-type]
            # The engine is loaded already, which takes seconds.
            service.queue.is_loaded = loaded
            stack.callback(service.queue.close)
            client = TestClient(service.exchanges, base_url=LOCAL, client=("10.0.0.1", 1000))
            return stack.enter_context(client), service

        yield make


@pytest.fixture
def held() -> Iterator[HeldEngine]:
    engine = HeldEngine()
    yield engine
    engine.may_go.set()


@pytest.fixture(scope="session")
def restoring() -> RestoringEngine:
    """The real engine with the bundled weights, for small photographs."""
    engine = RestoringEngine(Restorers(None, "cpu"), leave_sharp=True, most_pixels=MOST_PIXELS)
    engine.load()
    return engine
