"""The application of the service: its addresses, its description for OpenAPI, and its answers."""

import base64
import contextlib
import json
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from unblur.errors import UnblurError
from unblur.service.access import Access
from unblur.service.engine import Answer, Engine, Problem, RestoredFile
from unblur.service.exchange import CLIENT_GONE, Exchanges
from unblur.service.limits import Limits
from unblur.service.metrics import Metrics
from unblur.service.options import MEDIA_TYPES, Format, Options, choose_answer
from unblur.service.refusals import ClientGoneError, Refusal
from unblur.service.restoring_queue import RestoringQueue
from unblur.service.uploads import FIELD, FORM, read_upload

RESTORE = "/restore"
IN_HEADER_EXCLUDED = frozenset({"left_behind", "summary"})
"""Parts of the report that its header leaves out: the first has no limit, and the second has a header of its own."""

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": _BINARY,
            "application/octet-stream": _BINARY,
            FORM: {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
_TEXT = {"schema": {"type": "string"}}
_HEADERS = {
    "Unblur-Summary": _TEXT | {"description": "The report in words."},
    "Unblur-Unchanged": _TEXT | {"description": "Why the photograph is hardly changed; only if it is."},
    "Unblur-Report": _TEXT | {"description": "The report as JSON, without what the result leaves behind."},
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Answer,
        "description": "The restored photograph, or JSON with it and the report if the Accept header asks for that.",
        "content": dict.fromkeys(MEDIA_TYPES.values(), _BINARY),
        "headers": _HEADERS,
    },
    400: Problem.describe("The request is not valid HTTP.", "The request cannot be read; check it."),
    401: Problem.describe("There is no valid API key.", "The API key is not known; check it."),
    403: Problem.describe("A web site sent the request.", "This request comes from a web site."),
    406: Problem.describe("The Accept header allows no answer.", "No answer has a type of the Accept header."),
    413: Problem.describe("The photograph is too large.", "The photograph has more than 50 MB; send a smaller file."),
    415: Problem.describe("The body is not a photograph.", "The photograph is a GIF file and cannot be read."),
    421: Problem.describe("The host is not this service.", "The service has no such name."),
    422: Problem.describe("An option is wrong, or the photograph is damaged.", "strength: use at most 1."),
    429: Problem.describe("This client has too many requests.", "You have 8 requests waiting already.", retry=True),
    503: Problem.describe(
        "The queue is full, the time is over, or the service begins or ends.", "17 requests are waiting.", retry=True
    ),
}


class Service:
    """The service around one engine; `exchanges` is its ASGI application."""

    def __init__(self, engine: Engine, access: Access, limits: Limits, *, jobs: int = 2, quiet: bool = False) -> None:
        """Take over the engine, of whose photographs `jobs` are in memory at a time."""
        self.metrics = Metrics()
        self.queue = RestoringQueue(engine, limits, self.metrics, jobs=jobs)
        self._access = access
        self._limits = limits
        # Without pages that load scripts from elsewhere.
        self.app = FastAPI(
            title="unblur",
            summary="Makes motion-blurred photographs sharper.",
            version=version("unblur"),
            docs_url=None,
            redoc_url=None,
        )
        self._add_routes()
        self._add_handlers()
        self.exchanges = Exchanges(
            self.app, most_bytes=limits.upload_bytes, path=RESTORE, on_status=self.metrics.count, quiet=quiet
        )

    async def restore(self, request: Request, options: Annotated[Options, Query()]) -> Response:
        """Send a photograph as the body or in a form, and receive it restored.

        The options have the names and meanings of `unblur restore`.
        """
        async with self.queue.admit(request.state.client) as admission:
            with self.metrics.measure("upload"):
                content = await admission.limit(read_upload(request, self._limits.upload_bytes))
            try:
                own = self.queue.engine.identify(content)
            except UnblurError as error:
                raise Refusal(415, str(error)) from error
            accept = ",".join(request.headers.getlist("accept"))
            result_format, as_json = choose_answer(accept, options.format, own)
            work = self.queue.restore(admission, content, options, result_format)
            restored = await admission.limit(work, _wait_until_gone(request))
        return _make_response(restored, result_format, as_json=as_json)

    async def answer_health(self) -> PlainTextResponse:
        """Answer as long as the process lives."""
        return PlainTextResponse("ok\n")

    async def answer_readiness(self) -> PlainTextResponse:
        """Answer with 200 while photographs are accepted: after the network was loaded, until the service ends."""
        if not self.queue.is_ready:
            state = "ending" if self.queue.is_draining else "loading its network"
            raise Refusal(503, f"The service is {state}.", self.queue.estimate_wait_s())
        return PlainTextResponse("ready\n")

    async def answer_metrics(self) -> PlainTextResponse:
        """Answer with the measurements in the format of Prometheus."""
        queue = self.queue
        text = self.metrics.export(in_flight=queue.in_flight, waiting=queue.waiting, is_ready=queue.is_ready)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    def _add_routes(self) -> None:
        app = self.app
        app.add_api_route(
            RESTORE,
            self.restore,
            methods=["POST"],
            summary="Restore a photograph",
            responses=_RESPONSES,
            openapi_extra=_BODY,
            # Before the options are read: strangers receive no other answer.
            dependencies=[Depends(self._enter)],
            response_class=Response,
        )
        not_ready = {503: Problem.describe("Photographs are not accepted.", "The service is ending.", retry=True)}
        for path, answer, summary, responses in (
            ("/healthz", self.answer_health, "Health", {}),
            ("/readyz", self.answer_readiness, "Readiness", not_ready),
            ("/metrics", self.answer_metrics, "Measurements", {}),
        ):
            app.add_api_route(
                path, answer, methods=["GET"], summary=summary, responses=responses, response_class=PlainTextResponse
            )

    async def _enter(self, request: Request) -> None:
        request.state.client = self._access.identify_client(request)

    def _add_handlers(self) -> None:
        app = self.app
        app.add_exception_handler(Refusal, self._refuse)
        app.add_exception_handler(RequestValidationError, _refuse_options)
        app.add_exception_handler(HTTPException, _refuse_request)
        app.add_exception_handler(ClientGoneError, _give_up)
        app.add_exception_handler(Exception, _hide_defect)

    async def _refuse(self, _: Request, refusal: Refusal) -> Response:
        headers = {}
        if refusal.retry_after_s is not None or refusal.status == 503:
            headers["Retry-After"] = str(refusal.retry_after_s or self.queue.estimate_wait_s())
        if refusal.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return _make_problem(refusal.status, refusal.sentence, headers)


async def _refuse_options(_: Request, error: RequestValidationError) -> Response:
    return _make_problem(422, _describe_options(error))


async def _refuse_request(_: Request, error: HTTPException) -> Response:
    sentences = {404: "There is nothing at this address.", 405: "This address has another method."}
    sentence = sentences.get(error.status_code, "The request cannot be read; check it.")
    return _make_problem(error.status_code, sentence, dict(error.headers or {}))


async def _give_up(_: Request, __: ClientGoneError) -> Response:
    return _make_problem(CLIENT_GONE, "The client went away.")


async def _hide_defect(_: Request, __: Exception) -> Response:
    return _make_problem(500, "The service could not answer this request; please report it.")


async def _wait_until_gone(request: Request) -> None:
    """Return when the client has closed the connection. The body has been read before."""
    with contextlib.suppress(RuntimeError):
        while (await request.receive())["type"] != "http.disconnect":
            pass


def _make_response(restored: RestoredFile, result_format: Format, *, as_json: bool) -> Response:
    report = restored.report
    media_type = MEDIA_TYPES[result_format]
    short = report.model_dump(exclude=set(IN_HEADER_EXCLUDED), exclude_none=True)
    headers = {"Unblur-Summary": _to_ascii(report.summary), "Unblur-Report": json.dumps(short)}
    if report.unchanged_because is not None:
        headers["Unblur-Unchanged"] = _to_ascii(report.unchanged_because)
    if as_json:
        answer = {
            "media_type": media_type,
            "photograph": base64.b64encode(restored.content).decode(),
            "report": report.model_dump(),
        }
        return JSONResponse(answer, headers=headers)
    return Response(restored.content, media_type=media_type, headers=headers)


def _make_problem(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": sentence}, status, headers)


def _describe_options(error: RequestValidationError) -> str:
    """Return a sentence about the first wrong option."""
    first = error.errors()[0]
    name = str(first["loc"][-1]) if len(first["loc"]) > 1 else ""
    reason = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    if first["type"] == "extra_forbidden":
        return f"There is no option {name[:60]!r}; use one of {', '.join(Options.model_fields)}."
    return f"{name}: {reason}." if name else f"{reason[0].upper()}{reason[1:]}."


def _to_ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()
