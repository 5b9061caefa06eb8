"""Requests are admitted up to the limits, restored one after the other, and ended before their time."""

import asyncio
import io
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.service.held_engine import HeldEngine, MakeClient
from unblur.service.application import Service

TYPE = {"content-type": "image/png"}


def post(client: TestClient, content: bytes = b"photo") -> Any:
    return client.post("/restore", content=content, headers=TYPE)


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


class Senders:
    """Requests in threads, one after the other in the queue."""

    def __init__(self, client: TestClient, service: Service) -> None:
        self._client, self._service = client, service
        self._pool = ThreadPoolExecutor(8)

    def send(self, content: bytes) -> "Future[Any]":
        before = self._service.queue.in_flight
        sent = self._pool.submit(post, self._client, content)
        wait_for(lambda: self._service.queue.in_flight > before)
        return sent


def test_nothing_is_restored_before_the_network_is_loaded(held: HeldEngine, make_client: MakeClient) -> None:
    client, service = make_client(held, loaded=False)
    for answer in (post(client), client.get("/readyz")):
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "loading" in answer.json()["detail"]
    assert client.get("/healthz").status_code == 200
    service.queue.load()
    assert client.get("/readyz").status_code == 200
    assert post(client).content == b"photo"


def test_requests_are_restored_in_the_order_in_which_they_came_and_the_rest_is_refused(
    held: HeldEngine, make_client: MakeClient
) -> None:
    client, service = make_client(held, queue=3, per_client=10, jobs=2)
    held.may_go.clear()
    senders = Senders(client, service)
    sent = [senders.send(b"photo %d" % number) for number in range(4)]
    held.begun.acquire(timeout=60)
    refused = post(client)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert "4 requests are waiting" in refused.json()["detail"]
    measured = client.get("/metrics").text
    assert "unblur_requests_in_flight 4.0" in measured
    assert "unblur_queue_length 3.0" in measured
    held.may_go.set()
    assert [one.result().content for one in sent] == [b"photo %d" % number for number in range(4)]
    assert held.order == [b"photo %d" % number for number in range(4)]
    assert held.most_decoded <= 2
    assert post(client).status_code == 200
    measured = client.get("/metrics").text
    assert 'unblur_requests_total{status="200"} 5.0' in measured
    assert 'unblur_requests_total{status="503"} 1.0' in measured
    assert "unblur_queue_length 0.0" in measured


def test_a_client_cannot_take_all_places(held: HeldEngine, make_client: MakeClient) -> None:
    client, service = make_client(held, queue=5, per_client=2)
    held.may_go.clear()
    senders = Senders(client, service)
    sent = [senders.send(b"one"), senders.send(b"two")]
    refused = post(client)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    other = TestClient(service.exchanges, base_url=client.base_url, client=("10.0.0.2", 1))
    # The same event loop.
    other.portal = client.portal
    sent.append(Senders(other, service).send(b"three"))
    held.may_go.set()
    assert [one.result().content for one in sent] == [b"one", b"two", b"three"]
    assert post(client).status_code == 200


def test_retry_after_is_the_measured_time_of_the_requests_that_wait(held: HeldEngine, make_client: MakeClient) -> None:
    client, service = make_client(held, queue=3)
    service.metrics.note_restored(100, 20.0)
    service.metrics.note_restored(100, 10.0)
    mean = service.metrics.seconds_per_request
    assert mean is not None
    assert 10 < mean < 20
    held.may_go.clear()
    senders = Senders(client, service)
    sent = [senders.send(b"photo") for _ in range(4)]
    assert int(post(client).headers["retry-after"]) == pytest.approx(4 * mean, abs=1)
    held.may_go.set()
    assert [one.result().status_code for one in sent] == [200] * 4


def test_a_request_whose_time_is_over_stops_and_the_next_one_is_restored(
    held: HeldEngine, make_client: MakeClient
) -> None:
    client, service = make_client(held, time_s=1.5)
    held.may_go.clear()
    answer = post(client, b"slow")
    assert answer.status_code == 503
    assert "1.5 s" in answer.json()["detail"]
    assert "retry-after" in answer.headers
    assert held.stopped.wait(60)
    assert service.queue.in_flight == 0
    held.may_go.set()
    assert post(client, b"next").content == b"next"


def test_a_request_that_never_came_to_the_network_never_does(held: HeldEngine, make_client: MakeClient) -> None:
    client, service = make_client(held, time_s=1.5, jobs=3)
    held.may_go.clear()
    # The network is busy until both are over.
    held.reports_progress = False
    senders = Senders(client, service)
    sent = [senders.send(b"first"), senders.send(b"second")]
    assert [one.result().status_code for one in sent] == [503, 503]
    held.may_go.set()
    assert post(client, b"third").status_code == 200
    assert held.order == [b"first", b"third"]


def test_work_for_a_client_that_went_away_stops(held: HeldEngine, make_client: MakeClient) -> None:
    client, service = make_client(held)
    held.may_go.clear()
    sent: list[dict[str, Any]] = []

    async def ask() -> None:
        body = iter([{"type": "http.request", "body": b"photo", "more_body": False}])

        async def receive() -> dict[str, Any]:
            for message in body:
                return message
            while not held.begun.acquire(blocking=False):
                await asyncio.sleep(0.005)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"127.0.0.1:8000"), (b"content-type", b"image/png")]
        scope = {"type": "http", "method": "POST", "path": "/restore", "query_string": b"", "headers": headers}
        await service.exchanges(scope | {"client": ("10.0.0.1", 1)}, receive, send)

    assert client.portal is not None
    client.portal.call(ask)
    assert held.stopped.wait(60)
    assert sent[0]["status"] == 499
    assert 'unblur_requests_total{status="499"} 1.0' in client.get("/metrics").text
    held.may_go.set()
    assert post(client).status_code == 200


def test_draining_finishes_what_was_admitted_and_admits_nothing_more(held: HeldEngine, make_client: MakeClient) -> None:
    client, service = make_client(held)
    held.may_go.clear()
    senders = Senders(client, service)
    sent = [senders.send(b"one"), senders.send(b"two")]
    assert client.portal is not None
    drained = client.portal.start_task_soon(service.queue.drain, 60.0)
    wait_for(lambda: service.queue.is_draining)
    for answer in (post(client), client.get("/readyz")):
        assert answer.status_code == 503
        assert "ending" in answer.json()["detail"]
    assert client.get("/healthz").status_code == 200
    held.may_go.set()
    assert [one.result().content for one in sent] == [b"one", b"two"]
    drained.result()


def test_a_drain_ends_at_its_limit(held: HeldEngine, make_client: MakeClient) -> None:
    client, service = make_client(held)
    held.may_go.clear()
    senders = Senders(client, service)
    sent = [senders.send(b"one"), senders.send(b"two")]
    assert client.portal is not None
    client.portal.call(service.queue.drain, 0.1)
    answers = [one.result() for one in sent]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert all("before this photograph was restored" in answer.json()["detail"] for answer in answers)
    assert held.stopped.wait(60)


def test_a_defect_is_one_answer_and_quotes_nothing(
    held: HeldEngine, make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client, _ = make_client(held)
    answer = post(client, b"defect with a secret")
    assert answer.status_code == 500
    said = capsys.readouterr()
    assert "secret" not in answer.text + said.out + said.err
    assert "KeyError" in said.err
    assert post(client).status_code == 200


def test_memory_that_is_not_enough_now_may_be_later(held: HeldEngine, make_client: MakeClient) -> None:
    client, _ = make_client(held)
    answer = post(client, b"memory")
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


def test_a_refused_body_is_received_so_that_the_client_reads_the_reason(
    held: HeldEngine, make_client: MakeClient
) -> None:
    _, service = make_client(held, loaded=False, megabytes=0.001)
    taken = io.BytesIO()
    sent: list[Any] = []

    async def ask(headers: list[tuple[bytes, bytes]]) -> None:
        async def receive() -> dict[str, Any]:
            taken.write(b"x" * 100)
            return {"type": "http.request", "body": b"x" * 100, "more_body": True}

        async def send(message: Any) -> None:
            sent.append((message, len(taken.getvalue())))

        scope = {"type": "http", "method": "POST", "path": "/restore", "query_string": b""}
        named = [(b"host", b"localhost"), *headers]
        await service.exchanges(scope | {"headers": named, "client": ("10.0.0.1", 1)}, receive, send)

    asyncio.run(ask([]))
    message, size = sent[0]
    assert message["status"] == 503
    # A little more than the limit, not the endless rest.
    assert 1000 <= size <= 1200
    assert (b"connection", b"close") in message["headers"]

    taken.truncate(0)
    sent.clear()
    asyncio.run(ask([(b"expect", b"100-continue")]))
    message, size = sent[0]
    assert (message["status"], size) == (503, 0)
