"""Files that an index withdrew."""

import json

import pytest

from mlflow_uv.tools.package_index.yanked import yanked_files
from mlflow_uv.tools.system.web import WebReply, WebRequest, WebUnreachable

FILES = [
    {"filename": "a-1.whl", "yanked": "it breaks"},
    {"filename": "a-2.whl", "yanked": False},
    {"filename": "a-3.whl", "yanked": True},
    {"filename": "a-4.whl"},
    {"filename": "a-5.whl", "yanked": ""},
]


class OneAnswer:
    """A network with one answer."""

    def __init__(self, answer: WebReply | WebUnreachable) -> None:
        self.answer = answer
        self.asked: list[WebRequest] = []

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        self.asked.append(request)
        if isinstance(self.answer, WebUnreachable):
            raise self.answer
        return self.answer


def reply(body: object, status: int = 200) -> WebReply:
    """A response."""
    return WebReply(status=status, headers={}, body=body if isinstance(body, bytes) else json.dumps(body).encode())


def test_yanked_files_are_named() -> None:
    """
    A reason, also an empty one (PEP 592), or true; no credentials are sent.
    """
    web = OneAnswer(reply({"files": FILES}))

    found = yanked_files(web, "https://index.test/simple/", "a")  # type: ignore[arg-type]

    assert frozenset({"a-1.whl", "a-3.whl", "a-5.whl"}) == found
    assert [("https://index.test/simple/a/", {})] == [(asked.url, dict(asked.secret)) for asked in web.asked]


@pytest.mark.parametrize(
    "answer",
    [
        reply({}, status=404),
        reply(b"<html>"),
        reply([]),
        reply({"files": None}),
        reply(b"\xff"),
    ],
    ids=str,
)
def test_an_index_that_does_not_say_is_unknown(answer: WebReply | WebUnreachable) -> None:
    """
    Nothing is taken for "not yanked".
    """
    assert yanked_files(OneAnswer(answer), "https://index.test/simple", "a") is None  # type: ignore[arg-type]


def test_an_index_that_does_not_answer_is_no_answer() -> None:
    """
    The caller does not ask it for every package.
    """
    with pytest.raises(WebUnreachable, match="gone"):
        yanked_files(OneAnswer(WebUnreachable("gone")), "https://index.test/simple", "a")  # type: ignore[arg-type]
