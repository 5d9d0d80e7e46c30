# ruff: noqa: N803  # parameters have the names of the service
"""A stand-in for Amazon S3 in memory, by the operations that boto3 calls or by its REST API."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.stand_ins.refusal import Refused

_PAGE = 2  # objects on a page of a list
_STATUSES = {"NoSuchBucket": 404, "NoSuchKey": 404, "AccessDenied": 403}
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass
class Buckets:
    """Buckets by their names, each with its objects by their keys; `written` has every key that was ever written."""

    objects: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"cellar": {}})
    written: list[str] = field(default_factory=list)
    denied: frozenset[str] = frozenset()

    def call(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The response to an operation in the words of boto3. Raises Refused."""
        if operation in self.denied:
            raise Refused("AccessDenied", f"User is not authorized to perform {operation}")
        if parameters["Bucket"] not in self.objects:
            raise Refused("NoSuchBucket", "The specified bucket does not exist")
        return dict(getattr(self, f"_{operation}")(**{**parameters, "Bucket": self.objects[parameters["Bucket"]]}))

    def _put_object(self, *, Bucket: dict[str, bytes], Key: str, Body: bytes) -> dict[str, Any]:
        Bucket[Key] = Body
        self.written.append(Key)
        return {}

    def _get_object(self, *, Bucket: dict[str, bytes], Key: str) -> dict[str, Any]:
        if Key not in Bucket:
            raise Refused("NoSuchKey", "The specified key does not exist.")
        return {"Body": Bucket[Key]}

    def _delete_object(self, *, Bucket: dict[str, bytes], Key: str) -> dict[str, Any]:
        Bucket.pop(Key, None)
        return {}

    def _list_objects_v2(self, *, Bucket: dict[str, bytes], Prefix: str, ContinuationToken: str = "") -> dict[str, Any]:
        keys = [key for key in sorted(Bucket) if key.startswith(Prefix) and key > ContinuationToken]
        page = {"Contents": [{"Key": key, "Size": len(Bucket[key])} for key in keys[:_PAGE]]} if keys else {}
        more = {"NextContinuationToken": keys[_PAGE - 1]} if keys[_PAGE:] else {}
        return {**page, "IsTruncated": bool(more), **more}

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body of a response of the REST API, with addresses in path style."""
        parts = urlsplit(target)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            if method == "PUT":
                self.call("put_object", {"Bucket": bucket, "Key": key, "Body": body})
                return 200, b""
            if method == "DELETE":
                self.call("delete_object", {"Bucket": bucket, "Key": key})
                return 204, b""
            if key:
                return 200, self.call("get_object", {"Bucket": bucket, "Key": key})["Body"]
            token = {"ContinuationToken": query["continuation-token"]} if "continuation-token" in query else {}
            page = self.call("list_objects_v2", {"Bucket": bucket, "Prefix": query.get("prefix", ""), **token})
        except Refused as error:
            document = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
            return _STATUSES[error.code], document.encode()
        return 200, _listed(page, encoded=query.get("encoding-type") == "url").encode()


def _listed(page: dict[str, Any], *, encoded: bool) -> str:
    def shown(key: str) -> str:
        return quote(key) if encoded else escape(key)

    contents = "".join(
        f"<Contents><Key>{shown(part['Key'])}</Key><Size>{part['Size']}</Size></Contents>"
        for part in page.get("Contents", ())
    )
    token = page.get("NextContinuationToken", "")
    more = f"<NextContinuationToken>{escape(token)}</NextContinuationToken>" if token else ""
    encoding = "<EncodingType>url</EncodingType>" if encoded else ""
    truncated = f"<IsTruncated>{str(bool(token)).lower()}</IsTruncated>"
    return f'<ListBucketResult xmlns="{_NAMESPACE}">{encoding}{truncated}{more}{contents}</ListBucketResult>'


def place_of(url: str) -> tuple[str, str]:
    """The bucket and the key of an address."""
    match = re.fullmatch(r"s3://([^/]+)/(.*)", url)
    assert match is not None, url
    return match[1], match[2]
