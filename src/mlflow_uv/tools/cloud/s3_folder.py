"""Reads and writes the objects of one folder in Amazon S3."""

import base64
from collections.abc import Iterator
from typing import Any

from .aws import Aws, returned

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
        self._call("put_object", Key=f"{self._prefix}{name}", body=base64.b64encode(content).decode())

    def read(self, name: str) -> bytes:
        """The content of an object. Raises AwsRefused."""
        return base64.b64decode(self._call("get_object", Key=f"{self._prefix}{name}").body or "")

    def names(self) -> Iterator[str]:
        """The names of all objects. Raises AwsRefused."""
        token: dict[str, Any] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=self._prefix, **token).parts
            yield from (str(part["Key"]).removeprefix(self._prefix) for part in page.get("Contents") or ())
            if not page.get("NextContinuationToken"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def clear(self) -> None:
        """Delete all objects. Raises AwsRefused."""
        for name in list(self.names()):
            self._call("delete_object", Key=f"{self._prefix}{name}")

    def _call(self, operation: str, *, body: str | None = None, **parameters: Any) -> Any:
        more = {} if body is None else {"body": body}
        return returned(
            operation, self._aws.try_call(_SERVICE, operation, {"Bucket": self._bucket, **parameters}, **more)
        )
