"""The format of an answer follows the option, the Accept header and the photograph, in this order."""

import pytest

from unblur.service.options import Format, choose_answer
from unblur.service.refusals import Refusal


@pytest.mark.parametrize(
    ("accept", "requested", "own", "chosen"),
    [
        (None, "same", "jpg", ("jpg", False)),
        ("", "same", "png", ("png", False)),
        ("*/*", "same", "tif", ("tif", False)),
        ("image/*", "same", "webp", ("webp", False)),
        ("image/png", "same", "jpg", ("png", False)),
        ("IMAGE/PNG", "same", "jpg", ("png", False)),
        ("image/avif;q=0.5, image/webp", "same", "jpg", ("webp", False)),
        ("image/webp,image/jpeg", "same", "jpg", ("jpg", False)),
        ("image/jpeg;q=0, */*", "same", "jpg", ("png", False)),
        ("application/json", "same", "jpg", ("jpg", True)),
        ("application/json", "webp", "jpg", ("webp", True)),
        ("application/json;q=0.1, image/*", "same", "jpg", ("jpg", False)),
        ("*/*", "avif", "jpg", ("avif", False)),
        ("image/png;q=nan, image/jpeg", "same", "png", ("jpg", False)),
    ],
)
def test_the_format_of_the_answer(
    accept: str | None, requested: Format, own: Format, chosen: tuple[Format, bool]
) -> None:
    assert choose_answer(accept, requested, own) == chosen


@pytest.mark.parametrize(("accept", "requested"), [("text/html", "same"), ("image/png", "jpg"), ("*/*;q=0", "same")])
def test_an_answer_that_the_client_does_not_accept_is_refused(accept: str, requested: Format) -> None:
    with pytest.raises(Refusal, match="accept one of") as refused:
        choose_answer(accept, requested, "jpg")
    assert refused.value.status == 406
