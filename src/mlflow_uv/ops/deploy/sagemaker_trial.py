"""Asks a model of SageMaker by a transform job, in which each recorded request is an object in Amazon S3."""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from ...command.errors import NotServing, StepError
from ...command.wording import Wording, option
from ...core.deploy.platform_settings import SagemakerSettings
from ...core.model.derived_formats import JSON_TYPE
from ...core.security.endpoint_address import NO_HEADERS, endpoint_address
from ...tools.cloud.aws import Aws
from ...tools.cloud.s3_folder import S3Folder
from ...tools.mlflow.endpoint import Endpoint
from ...tools.mlflow.model_requests import ModelReply, ModelRequest
from ...tools.toolbox import Tools
from .sagemaker_models import SagemakerModels

_POLL_S = 5.0
_COMPLETED = "Completed"
_ENDED = frozenset({_COMPLETED, "Failed", "Stopped"})
_LEAST_MIB, _MOST_MIB = 6, 100  # what the service allows for one request
_MOST_ANSWER_S = 3600
_TRIALS = "mlflow-uv-trials"  # the folder in which objects are deleted
_RUN = 8  # bytes of what makes the name of a job unique


class TriedModel(Endpoint):
    """
    A model that a job of this program asks; see mlflow.endpoint.Endpoint.

    All requests are in one job, which takes minutes, so the same requests are sent once: a model does not change.
    """

    at_once = True

    def __init__(self, account: SagemakerModels, aws: Aws, tools: Tools, model: str, deadline_s: float) -> None:
        # It is only shown: a job has no address.
        super().__init__(tools.web, endpoint_address(f"https://sagemaker.invalid/models/{model}"), NO_HEADERS)
        self._account = account
        self._model = model
        self._deadline_s = deadline_s
        self._tools = tools
        self._folder = trial_folder(account, aws)
        self._answered: dict[tuple[ModelRequest, ...], tuple[ModelReply, ...]] = {}

    def send(self, request: ModelRequest) -> ModelReply | None:
        """See Endpoint."""
        return self.send_all((request,))[0]

    def send_all(self, requests: Sequence[ModelRequest]) -> tuple[ModelReply | None, ...]:
        """See Endpoint. Raises NotServing if the job does not end, or fails, and AwsRefused."""
        sent = tuple(requests)
        if sent not in self._answered:
            self._folder.clear()  # what a run that was killed left
            try:
                self._answered[sent] = self._tried(sent)
            finally:
                self._clear()
        return self._answered[sent]

    def _tried(self, requests: tuple[ModelRequest, ...]) -> tuple[ModelReply, ...]:
        job = f"{self._account.base}-{secrets.token_hex(_RUN)}"
        names = [f"{number:05}.json" for number in range(1, len(requests) + 1)]
        for name, request in zip(names, requests, strict=True):
            self._folder.write(f"{job}/requests/{name}", request.body or b"")
        largest = max(len(request.body or b"") for request in requests)
        self._account.call("create_transform_job", **self._definition(job, _mebibytes(largest), requests[0].timeout_s))
        self._tools.console.say(f"  the transform job {job} answers {len(requests)} requests")
        self._require_completed(job)
        # Whether a folder of the request is part of the name of the answer depends on the folder of the requests.
        answers = {
            PurePosixPath(name).name: name for name in self._folder.names() if name.startswith(f"{job}/answers/")
        }
        replies: list[ModelReply] = []
        for number, name in enumerate(names, start=1):
            if f"{name}.out" not in answers:
                raise NotServing(what=f"the transform job `{job}` wrote no answer to request {number}")
            body = self._folder.read(answers[f"{name}.out"])
            replies.append(ModelReply(status=200, body=body.decode(errors="replace")))
        return tuple(replies)

    def _definition(self, job: str, mebibytes: int, answer_s: float) -> Mapping[str, Any]:
        settings = self._account.settings
        place = f"{self._folder.url}/{job}"
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{place}/requests/"}}
        return {
            "TransformJobName": job,
            "ModelName": self._model,
            "MaxConcurrentTransforms": 1,
            "MaxPayloadInMB": mebibytes,
            "BatchStrategy": "SingleRecord",
            "ModelClientConfig": {
                "InvocationsTimeoutInSeconds": max(1, min(round(answer_s), _MOST_ANSWER_S)),
                "InvocationsMaxRetries": 0,
            },
            "TransformInput": {"DataSource": source, "ContentType": JSON_TYPE, "SplitType": "None"},
            "TransformOutput": {"S3OutputPath": f"{place}/answers/", "Accept": JSON_TYPE, "AssembleWith": "None"},
            "TransformResources": {"InstanceType": settings.instance_type, "InstanceCount": settings.instances},
            "Tags": self._account.tags({}, {}),
        }

    def _require_completed(self, job: str) -> None:
        """Wait for a job. Raises NotServing if it fails, or does not end in time; then it is stopped."""
        try:
            ended = self._ended(job)
        except BaseException:
            with suppress(StepError):
                self._account.call("stop_transform_job", TransformJobName=job)
            raise
        status = str(ended.get("TransformJobStatus"))
        if status != _COMPLETED:
            raise NotServing(
                what=f"the model is not ready: its transform job `{job}` has the status {status}",
                why=str(ended.get("FailureReason") or "no reason is given"),
                fix=f"see the streams {job}/… in the log group /aws/sagemaker/TransformJobs",
            )

    def _ended(self, job: str) -> Mapping[str, Any]:
        clock = self._tools.clock
        until = clock.now_s() + self._deadline_s
        while True:
            seen = self._account.call("describe_transform_job", TransformJobName=job)
            if seen.get("TransformJobStatus") in _ENDED:
                return seen
            if clock.now_s() >= until:
                raise NotServing(
                    what=f"the transform job `{job}` still runs after {self._deadline_s:.0f} s",
                    why=f"its status is {seen.get('TransformJobStatus')}",
                    fix=Wording(option("deadline", "SECONDS"), " if it only needs longer"),
                )
            clock.wait(_POLL_S)

    def _clear(self) -> None:
        try:
            self._folder.clear()
        except StepError as error:
            self._tools.console.say(f"  the requests in {self._folder.url} are not deleted: {error.text}")


def trial_folder(account: SagemakerModels, aws: Aws) -> S3Folder:
    """The folder for the requests and answers of a deployment alone."""
    assert isinstance(account.settings, SagemakerSettings)  # noqa: S101  # those of its kind
    return S3Folder(aws, f"{account.settings.transform_folder}/{_TRIALS}/{account.name}")


def _mebibytes(size: int) -> int:
    return min(max(_LEAST_MIB, -(-size >> 20) + 1), _MOST_MIB)
