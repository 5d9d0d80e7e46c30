"""Reads and writes the objects of one folder in Amazon S3."""

import base64
from collections.abc import Iterator
from typing import Any

from .aws import Aws, call, content_of, returned

_SERVICE = "s3"


class S3Folder:
    """A folder by its URL, `s3://BUCKET/FOLDER`; objects are named by the rest of their keys."""

    def __init__(self, aws: Aws, url: str) -> None:
        self._aws = aws
        self.url = url.rstrip("/")
        self._bucket, _, path = self.url.removeprefix("s3://").partition("/")
        self._prefix = f"{path}/"

    def write(self, name: str, content: bytes) -> None:
        """Write an object. Raises AwsRefused."""
        body = base64.b64encode(content).decode()
        returned("put_object", self._aws.try_call(_SERVICE, "put_object", self._object(name), body=body))

    def read(self, name: str) -> bytes:
        """The content of an object. Raises AwsRefused, and ToolFailed for a response that cannot be read."""
        result = returned("get_object", self._aws.try_call(_SERVICE, "get_object", self._object(name)))
        return content_of("get_object", result)

    def names(self) -> Iterator[str]:
        """The names of all objects. Raises as `read`."""
        token: dict[str, Any] = {}
        while True:
            page = call(self._aws, _SERVICE, "list_objects_v2", Bucket=self._bucket, Prefix=self._prefix, **token)
            yield from (str(part["Key"]).removeprefix(self._prefix) for part in page.get("Contents") or ())
            if not page["IsTruncated"]:  # botocore reads an empty list from any other document
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def clear(self) -> None:
        """Delete all objects. Raises as `read`."""
        for name in list(self.names()):
            call(self._aws, _SERVICE, "delete_object", **self._object(name))

    def _object(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{name}"}
