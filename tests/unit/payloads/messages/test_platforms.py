"""Messages about platforms: what travels to the interpreter that has their client libraries."""

import json
from dataclasses import asdict

from mlflow_uv.payloads.messages.platforms import AwsResult, CallAws
from mlflow_uv.payloads.messages.reader import read


def test_a_call_and_its_result_travel_as_they_are() -> None:
    """
    Parameters are JSON of any depth; a body is text.
    """
    request = CallAws(
        service="sagemaker", operation="x", parameters={"Tags": [{"Key": "a", "Value": "b"}], "W": 0.5}, body="e30="
    )
    result = AwsResult(parts={"OriginalStatusCode": 400}, code="ModelError", message="m")

    for message in (request, result):
        assert message == read(type(message), json.loads(json.dumps(asdict(message))), what="it")
