"""A folder in Amazon S3: its objects, and what is in others."""

import base64
from typing import Any

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.payloads.messages.platforms import AwsResult
from mlflow_uv.tools.cloud.aws import AwsRefused
from mlflow_uv.tools.cloud.s3_folder import S3Folder
from tests.stand_ins.refusal import Refused
from tests.stand_ins.s3 import Buckets


class StoredObjects:
    """See Aws; the objects are those of a stand-in."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def try_call(self, service: str, operation: str, parameters: Any, **body: Any) -> AwsResult:
        """See Aws."""
        assert "s3" == service
        given = {"Body": base64.b64decode(body["body"])} if "body" in body else {}
        try:
            parts = self._buckets.call(operation, {**parameters, **given})
        except Refused as error:
            return AwsResult(parts={}, code=error.code, message=error.message)
        content = parts.pop("Body", None)
        return AwsResult(parts=parts, body=None if content is None else base64.b64encode(content).decode())


def test_objects_are_written_read_listed_on_all_pages_and_deleted() -> None:
    """
    Those of another folder, whose name begins alike, stay.
    """
    buckets = Buckets()
    folder, other = (S3Folder(StoredObjects(buckets), url) for url in ("s3://cellar/a/", "s3://cellar/a-b"))
    for number in range(5):
        folder.write(f"{number}.json", b"\x00\xff")
    other.write("kept", b"x")

    names, content = list(folder.names()), folder.read("4.json")
    folder.clear()

    assert ([f"{number}.json" for number in range(5)], b"\x00\xff") == (names, content)
    assert {"cellar": {"a-b/kept": b"x"}} == buckets.objects


@pytest.mark.parametrize("url", ["s3://nowhere/a", "s3://cellar/a"])
def test_what_is_refused_is_an_error(url: str) -> None:
    """
    A bucket that does not exist, and a right that is missing.
    """
    buckets = Buckets(denied=frozenset({"put_object"}))

    with pytest.raises(AwsRefused, match=r"`put_object`: (AccessDenied|NoSuchBucket)"):
        S3Folder(StoredObjects(buckets), url).write("x", b"")


class Malformed:
    """See Aws; every response is this one."""

    def __init__(self, result: AwsResult) -> None:
        self._result = result

    def try_call(self, *_: Any, **_body: Any) -> AwsResult:
        """See Aws."""
        return self._result


@pytest.mark.parametrize("body", ["abc", "ab\u00e9=", "{}{}"])
def test_a_body_that_cannot_be_decoded_is_an_error(body: str) -> None:
    """
    The message has nothing of it.
    """
    folder = S3Folder(Malformed(AwsResult(parts={}, body=body)), "s3://cellar/a")

    with pytest.raises(ToolFailed, match="the response to `get_object` is malformed") as caught:
        folder.read("x")

    assert body not in str(caught.value)


def test_a_list_of_objects_without_their_names_is_an_error() -> None:
    """
    What is missing is named.
    """
    folder = S3Folder(Malformed(AwsResult(parts={"Contents": [{"Size": 1}]})), "s3://cellar/a")

    with pytest.raises(ToolFailed, match="AWS returned a response without `Key`"):
        folder.clear()
