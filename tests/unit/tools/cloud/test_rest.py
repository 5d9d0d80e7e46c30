"""Requests to a platform: what is tried again, what is an error, and what no message has in it."""

from collections.abc import Sequence
from typing import cast

import pytest

from mlflow_uv.command.errors import PlanOutdated, ToolFailed
from mlflow_uv.tools.cloud.rest import PlatformRefused, RestAccount, RestApi, child
from mlflow_uv.tools.system.web import Web, WebReply, WebRequest, WebUnreachable
from tests.unit.ops.deploy.worlds import QuickClock

SECRET = "tok-3141592653589793"


class ScriptedWeb:
    """A web client that answers in turn."""

    def __init__(self, replies: Sequence[tuple[int, bytes] | WebUnreachable]) -> None:
        self._replies = list(replies)
        self.sent: list[WebRequest] = []

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        self.sent.append(request)
        reply = self._replies.pop(0)
        if isinstance(reply, WebUnreachable):
            raise reply
        return WebReply(status=reply[0], headers={"retry-after": "7"}, body=reply[1])


def api_with(*replies: tuple[int, bytes] | WebUnreachable) -> tuple[RestApi, ScriptedWeb, QuickClock]:
    """An API whose tokens are numbered."""
    web, clock, tokens = ScriptedWeb(replies), QuickClock(), iter([SECRET, f"{SECRET}2"])
    account = RestAccount(root="https://a.example.com/", title="Cloud", login="set TOKEN", token=lambda: next(tokens))
    api = RestApi(cast("Web", web), clock, account)
    return api, web, clock


def test_a_busy_platform_is_asked_again_but_nothing_is_created_twice() -> None:
    """
    A POST that may have been carried out is not repeated.
    """
    api, web, _ = api_with((503, b""), (500, b""), (200, b'{"a": 1}'))
    created, sent, _ = api_with((500, b"{}"), (200, b"{}"))

    assert {"a": 1} == api.get("/x")
    assert 3 == len(web.sent)
    with pytest.raises(PlatformRefused, match="Cloud refuses POST /x: status 500"):
        created.send("POST", "/x", {})
    assert 1 == len(sent.sent)


def test_a_token_that_expired_is_replaced_once() -> None:
    """
    The second denial is final, and says what to set.
    """
    api, web, _ = api_with((401, b""), (200, b"{}"))
    denied, asked, _ = api_with((401, b""), (401, b"{}"))

    api.get("/x")
    with pytest.raises(PlatformRefused, match=r"Cloud denies access to /x: status 401\. Fix: set TOKEN"):
        denied.get("/x")

    for requests in (web.sent, asked.sent):
        assert [f"Bearer {SECRET}", f"Bearer {SECRET}2"] == [sent.secret["Authorization"] for sent in requests]


@pytest.mark.parametrize("place", range(380, 402, 3))
def test_a_token_at_the_end_of_what_is_shown_is_not_shown_in_part(place: int) -> None:
    """
    A platform repeats what it got, and a long reason is cut off.
    """
    message = f"{'x' * place}{SECRET} and more"
    api, _, _ = api_with((400, f'{{"message": "{message}"}}'.encode()))

    with pytest.raises(PlatformRefused) as caught:
        api.send("POST", "/x", {})

    assert SECRET[:4] not in caught.value.text


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"error_code": "QUOTA", "message": "too  many"}', "status 400, QUOTA: too many"),
        (b'{"error": {"code": "Quota", "message": "no"}}', "status 400, Quota: no"),
        (b'{"error": "invalid", "error_description": "no"}', "status 400, invalid: no"),
        (b"<html>no</html>", "status 400: <html>no</html>"),
        (b'"no"', "status 400: no"),
        (f'{{"message": "got {SECRET}"}}'.encode(), "status 400: got ***"),
    ],
)
def test_the_reason_of_the_platform_is_shown_without_the_token(body: bytes, shown: str) -> None:
    """
    In each of the shapes in which platforms write errors.
    """
    api, _, _ = api_with((400, body))

    with pytest.raises(PlatformRefused) as caught:
        api.send("PUT", "/x", {})

    assert shown == caught.value.why


def test_a_change_of_somebody_else_and_an_absent_thing_are_told_apart_from_failures() -> None:
    """
    A conflict is no failure of the program: another change must end first.
    """
    api, _, _ = api_with((409, b"{}"), (404, b"{}"), (404, b"{}"), (200, b"no json"))

    with pytest.raises(PlanOutdated):
        api.send("PUT", "/x", {})
    assert api.get("/x") is None
    with pytest.raises(PlatformRefused, match="status 404"):
        api.send("PUT", "/x", {})
    with pytest.raises(ToolFailed, match="something else than JSON"):
        api.get("/x")


def test_a_platform_that_does_not_answer_is_an_error_after_three_attempts() -> None:
    """
    A certificate that is not trusted is final at once.
    """
    api, web, _ = api_with(*(WebUnreachable("it is away") for _ in range(3)))
    strange, once, _ = api_with(WebUnreachable("no certificate", permanent=True))

    with pytest.raises(ToolFailed, match="Cloud does not answer: it is away"):
        api.get("/x")
    with pytest.raises(ToolFailed, match="no certificate"):
        strange.get("/x")
    assert (3, 1) == (len(web.sent), len(once.sent))


def test_a_part_that_is_not_there_is_empty() -> None:
    """
    Also below a value that is no object.
    """
    document = {"a": {"b": [1]}, "c": None}

    assert ([1], {}, {}, {}) == (child(document, "a", "b"), child(document, "x", "y"), child(document, "a", "b", "c"),
                                 child(document, "c"))  # fmt: skip
