"""Requests that the description of the service allows, and others that it does not, never meet a defect."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.service.held_engine import MakeClient, encode_photo
from unblur.app.serve_engine import RestoringEngine

KEY = "0123456789abcdef"

PHOTOS = [encode_photo(kind, 40, 32) for kind in ("jpeg", "png", "webp", "tiff")]
FILES = st.one_of(st.sampled_from(PHOTOS), st.sampled_from([photo[:-20] for photo in PHOTOS]), st.binary(max_size=200))
"""Whole photographs, damaged ones, and anything else."""

for media_type in ("image/*", "application/octet-stream"):
    schemathesis.openapi.media_type(media_type, FILES)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture
def described(restoring: RestoringEngine, make_client: MakeClient) -> schemathesis.BaseSchema:
    _, service = make_client(restoring, KEY, host="0.0.0.0")
    return schemathesis.openapi.from_asgi("/openapi.json", service.exchanges)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_meets_a_defect(mode: GenerationMode, described: schemathesis.BaseSchema) -> None:
    """Requests that the description allows, and those that it does not."""
    answers: set[int] = set()
    operations = [result.ok() for result in described.get_all_operations()]
    assert {operation.path for operation in operations} == {"/restore", "/healthz", "/readyz", "/metrics"}
    for operation in operations:
        # Operations without parameters have nothing that could be wrong.
        if mode.is_negative and not operation.query:
            continue

        @settings(max_examples=30, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: schemathesis.Case) -> None:
            answers.add(case.call_and_validate(headers={"x-api-key": KEY}, checks=CHECKS).status_code)

        send()
    assert answers >= ({200, 415, 422} if mode.is_positive else {422}), answers
