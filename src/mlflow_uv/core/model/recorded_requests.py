"""Defines recorded requests with the responses of the training environment, and their files in a model."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .derived_formats import CSV_TYPE, JSON_TYPE
from .model_files import CASES, REQUESTS

DEFAULT_URL = "http://127.0.0.1:8080/invocations"  # the port of the image, published as the release prints it
_LONGEST_SHOWN = 1000  # characters of a body


class RequestOrigin(Enum):
    """Where a recorded request comes from. The values are written into the model."""

    EXAMPLE = "example"
    FILE = "file"
    STREAM = "stream"
    DERIVED = "derived"


_SHOWN = {
    RequestOrigin.EXAMPLE: "",
    RequestOrigin.FILE: " of the file",
    RequestOrigin.STREAM: " as a stream",
    RequestOrigin.DERIVED: " derived",
}


@lazy_dataclass
class RecordedRequest:
    """
    A request for `/invocations` with a name and its exact body, and the response of the training environment.

    `content_type` is the media type of the body, `answer` the JSON of a response with status 200 or the list of the
    chunks of a stream, `reason` the message of a refusal.
    """

    name: str
    origin: RequestOrigin
    body: str
    status: int = HTTPStatus.OK
    answer: Any = None
    reason: str = ""
    content_type: str = JSON_TYPE

    @property
    def is_answered(self) -> bool:
        """Whether training answered it with a prediction."""
        return self.status == HTTPStatus.OK

    @property
    def is_stream(self) -> bool:
        """Whether it requests a stream, and its answer is the list of the chunks."""
        return self.origin is RequestOrigin.STREAM

    @property
    def is_derived(self) -> bool:
        """Whether it was derived from the signature."""
        return self.origin is RequestOrigin.DERIVED


def from_examples(cases: Sequence[Any], answers: Sequence[Any]) -> tuple[RecordedRequest, ...]:
    """The requests of the input example; the body has the bytes that training answered, with keys in their order."""
    return tuple(
        RecordedRequest(
            name=f"recorded request {number}", origin=RequestOrigin.EXAMPLE, body=json.dumps(case), answer=answer
        )
        for number, (case, answer) in enumerate(zip(cases, answers, strict=True), start=1)
    )


def requests_file(recorded: Iterable[RecordedRequest]) -> str:
    """The requests as JSON."""
    return json.dumps(
        [
            {"name": item.name, "origin": item.origin.value, "body": item.body}
            | ({} if item.content_type == JSON_TYPE else {"content-type": item.content_type})
            for item in recorded
        ],
        indent=1,
    )


def responses_file(recorded: Iterable[RecordedRequest]) -> str:
    """The responses as JSON, in the order of the requests."""
    return json.dumps(
        [
            {"status": item.status, "answer": item.answer}
            if item.is_answered
            else {"status": item.status, "reason": item.reason}
            for item in recorded
        ],
        indent=1,
    )


def read_recorded(requests: object, responses: object) -> tuple[RecordedRequest, ...]:
    """The requests and responses in the parsed files. Raises ValueError if they are not as written here."""
    try:
        return tuple(
            RecordedRequest(
                name=str(request["name"]),
                origin=RequestOrigin(request["origin"]),
                body=str(request["body"]),
                status=int(response["status"]),
                answer=response.get("answer"),
                reason=str(response.get("reason", "")),
                content_type=_known_type(request.get("content-type", JSON_TYPE)),
            )
            for request, response in zip(requests, responses, strict=True)  # type: ignore[call-overload]  # see below
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"they are not requests with responses: {error!r}") from error


def _known_type(content_type: object) -> str:
    """The media type of a body. Raises ValueError for another than those of derived requests: it is a header."""
    if content_type not in (JSON_TYPE, CSV_TYPE):
        raise ValueError(f"they have the media type {content_type!r}")
    return str(content_type)


def compared_values(recorded: Iterable[RecordedRequest]) -> list[Any]:
    """The predictions, and the chunks of streams, to which `ignore-answers` applies: all but those to derived ones."""
    answers: list[Any] = []
    for item in recorded:
        if item.is_answered and not item.is_derived:
            answers += item.answer if item.is_stream else (item.answer,)
    return answers


def counted_by_origin(recorded: Sequence[RecordedRequest]) -> str:
    """`1 example, 12 of the file, 41 derived`, without origins that have none."""
    return ", ".join(_counts(recorded)) or "no requests"


def sending_fix(
    request: RecordedRequest, url: str = DEFAULT_URL, headers: Mapping[str, str] = MappingProxyType({})
) -> str:
    """
    The command that sends a request to a server; for a long or binary body, where it is in the model.

    `headers` are names of environment variables by header, which the command refers to.
    """
    if len(request.body) > _LONGEST_SHOWN or not (request.body.isascii() and request.body.isprintable()):
        if request.origin is RequestOrigin.EXAMPLE:
            return f"the request is in the model's `{CASES}`"
        return f"the request is in the model's `{REQUESTS}`, as the body of {request.name!r}"
    secret = "".join(f' --header "{header}: ${name}"' for header, name in headers.items())
    given = shlex.join(("--header", f"Content-Type: {request.content_type}", "--data-raw", request.body, url))
    return f"send it: curl{secret} {given}"


def _counts(recorded: Sequence[RecordedRequest]) -> Iterator[str]:
    for origin in RequestOrigin:
        number = sum(item.origin is origin for item in recorded)
        if number and origin is RequestOrigin.EXAMPLE:
            yield f"{number} example{'' if number == 1 else 's'}"
        elif number:
            yield f"{number}{_SHOWN[origin]}"
