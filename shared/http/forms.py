"""HTML forms as they arrive: names and values, no files, no floods."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from shared.errors import Malformed

FIELDS = 100
"""The most fields of a form."""

PART = 128 * 1024
"""The most bytes of one field."""


async def form_of(request: Request) -> dict[str, str]:
    """The form's fields. Files are left out. Raises `Malformed`, also for a field given twice: readers would disagree."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        form: FormData = await request.form(max_files=0, max_fields=FIELDS, max_part_size=PART)
        return _once([(name, value) for name, value in form.multi_items() if not isinstance(value, UploadFile)])
    # Not Starlette's parser: it takes UTF-8 that is not percent-encoded for Latin-1.
    try:
        body = (await request.body()).decode()
        fields = parse_qsl(body, keep_blank_values=True, errors="strict", max_num_fields=FIELDS)
    except ValueError:
        raise Malformed("the form cannot be read") from None
    return _once(fields)


def _once(fields: Sequence[tuple[str, str]]) -> dict[str, str]:
    if len(found := dict(fields)) != len(fields):
        raise Malformed("a field of the form is given twice")
    return found
