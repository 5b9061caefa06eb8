"""Uploads, which are read into memory and never lie on disk."""

import sys
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from unblur.service.refusals import ClientGoneError, Refusal

FORM = "multipart/form-data"
FIELD = "photograph"
"""Name of the form's field with the photograph."""

FORM_BYTES = 10_000
"""Bytes that a form may have beside the photograph."""


class _MemoryParser(MultiPartParser):
    """Parser of forms that writes no temporary file."""

    spool_max_size = sys.maxsize


async def read_upload(request: Request, most_bytes: int) -> bytes:
    """Return the content of the photograph's file in a request.

    It is the body, with the type of an image, or the field `photograph` of a form. Raises Refusal for other types,
    for more than `most_bytes` and for broken forms, and ClientGoneError if the client goes away.
    """
    media_type = request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    if media_type != FORM and media_type != "application/octet-stream" and not media_type.startswith("image/"):
        raise Refusal(
            415,
            f"A body of type {media_type[:60]} holds no photograph; send an image with its type, such as image/jpeg, "
            f"or a form ({FORM}) with the field {FIELD}.",
        )
    body = await _read_body(request, most_bytes + (FORM_BYTES if media_type == FORM else 0), most_bytes)
    content = await _find_in_form(request, body) if media_type == FORM else body
    if len(content) > most_bytes:
        raise _make_size_refusal(most_bytes)
    if not content:
        raise Refusal(422, "The photograph is empty; send the content of its file.")
    return content


async def _read_body(request: Request, limit: int, most_bytes: int) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _make_size_refusal(most_bytes)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _make_size_refusal(most_bytes)
    except ClientDisconnect as error:
        raise ClientGoneError from error
    return bytes(body)


async def _find_in_form(request: Request, body: bytes) -> bytes:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _MemoryParser(request.headers, stream(), max_files=1, max_fields=0)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        reason = str(error).rstrip(".")
        raise Refusal(422, f"The form cannot be read: {reason}; send one file as the field {FIELD}.") from error
    photograph = form.get(FIELD)
    if not isinstance(photograph, UploadFile):
        raise Refusal(422, f"The form has no file as the field {FIELD}; add it.")
    content = await photograph.read()
    await form.close()
    return content


def _make_size_refusal(most_bytes: int) -> Refusal:
    return Refusal(413, f"The photograph has more than {most_bytes / 1e6:g} MB; send a smaller file.")
