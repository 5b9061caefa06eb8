"""The service answers requests with a key, and without one requests of this computer alone."""

import pytest

from tests.service.held_engine import HeldEngine, MakeClient
from unblur.errors import UnblurError
from unblur.service.access import Access

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"
TYPE = {"content-type": "image/png"}


def test_without_a_key_the_service_is_for_this_computer_alone() -> None:
    Access("127.0.0.1", [])
    Access("[::1]", [])
    for host in ("0.0.0.0", "::", "192.168.1.7", "example.org"):
        with pytest.raises(UnblurError, match="UNBLUR_API_KEY or --key-file"):
            Access(host, [])
        Access(host, [KEY])


def test_a_key_that_could_be_guessed_is_refused_without_being_shown() -> None:
    with pytest.raises(UnblurError, match="fewer than 16") as refused:
        Access("127.0.0.1", [KEY, "secret"])
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": f"Bearer {KEY}"}, 200),
        ({"authorization": f"bearer {OTHER}"}, 200),
        ({"x-api-key": KEY}, 200),
        ({"x-api-key": KEY[:-1]}, 401),
        ({"x-api-key": ""}, 401),
        ({"x-api-key": "é" * 16}, 401),
        ({"authorization": f"Basic {KEY}"}, 401),
        ({"authorization": KEY}, 401),
    ],
)
def test_a_request_needs_one_of_the_keys(
    headers: dict[str, str], status: int, held: HeldEngine, make_client: MakeClient
) -> None:
    client, _ = make_client(held, KEY, OTHER, host="0.0.0.0")
    sent = {name: value.encode() for name, value in (TYPE | headers).items()}
    answer = client.post("/restore", content=b"photo", headers=sent)
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "API key" in answer.json()["detail"]
        assert KEY not in answer.text


def test_strangers_learn_nothing_about_options(held: HeldEngine, make_client: MakeClient) -> None:
    client, _ = make_client(held, KEY)
    assert client.post("/restore?nonsense=1", content=b"photo").status_code == 401


def test_probes_and_measurements_need_no_key(held: HeldEngine, make_client: MakeClient) -> None:
    client, _ = make_client(held, KEY)
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example:8000"}, 421),
        ({"host": "[::1"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "localhost:8000"}, 200),
        ({"origin": "http://127.0.0.1:8000"}, 200),
    ],
)
def test_web_sites_cannot_use_a_service_without_a_key(
    headers: dict[str, str], status: int, held: HeldEngine, make_client: MakeClient
) -> None:
    client, _ = make_client(held)
    assert client.post("/restore", content=b"photo", headers=TYPE | headers).status_code == status
