# ruff: noqa: N803  # parameters have the names of the service
"""A stand-in for the transform jobs of SageMaker, which read and write objects of the stand-in for Amazon S3."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.stand_ins.refusal import Refused
from tests.stand_ins.s3 import Buckets, place_of

_LOOKS = 2  # requests for the state until a job has ended
_MOST_MIB = 100
_SHOWN = ("TransformJobName", "TransformJobArn", "TransformJobStatus", "CreationTime")

# What the container of a model answers to a body of a type, and the fault of its image.
Asked = Callable[[str, bytes, str], tuple[int, bytes]]


@dataclass
class TransformJobs:
    """The jobs of an account, which are kept for ever; `fault_of` is of a model, and `nested` of where answers go."""

    arn: str
    ask: Asked
    fault_of: Callable[[str], str]
    storage: Buckets = field(default_factory=Buckets)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    most_instances: int = 4
    nested: bool = False

    def create_transform_job(self, **job: Any) -> dict[str, Any]:
        """See SageMaker."""
        name = job["TransformJobName"]
        if name in self.jobs:
            raise Refused("ResourceInUse", "Job name must be unique within an AWS account and region.")
        if job["TransformResources"]["InstanceCount"] > self.most_instances:
            raise Refused("ResourceLimitExceeded", "The account-level service limit for transform job usage is 4.")
        if job["MaxConcurrentTransforms"] * job["MaxPayloadInMB"] > _MOST_MIB:
            raise Refused("ValidationException", "MaxConcurrentTransforms * MaxPayloadInMB must not exceed 100.")
        self.fault_of(job["ModelName"])
        kept = {part: value for part, value in job.items() if part != "Tags"}
        arn = f"{self.arn}:transform-job/{name}"
        self.jobs[name] = {**kept, "TransformJobArn": arn, "TransformJobStatus": "InProgress", "CreationTime": 1.0}
        return {"TransformJobArn": arn}

    def describe_transform_job(self, *, TransformJobName: str) -> dict[str, Any]:
        """See SageMaker; with each look, a job goes on."""
        job = self._kept(TransformJobName)
        self.looks[TransformJobName] = self.looks.get(TransformJobName, 0) + 1
        fault = self.fault_of(job["ModelName"]) if job["TransformJobStatus"] == "InProgress" else ""
        if job["TransformJobStatus"] == "Stopping":
            job["TransformJobStatus"] = "Stopped"
        elif job["TransformJobStatus"] == "InProgress" and fault != "hangs" and self.looks[TransformJobName] >= _LOOKS:
            job["FailureReason"] = self._failure(job, fault)
            job["TransformJobStatus"] = "Failed" if job["FailureReason"] else "Completed"
            if not job["FailureReason"]:
                del job["FailureReason"]
        return dict(job)

    def list_transform_jobs(self, *, StatusEquals: str) -> dict[str, Any]:
        """See SageMaker."""
        listed = [job for job in self.jobs.values() if job["TransformJobStatus"] == StatusEquals]
        return {"TransformJobSummaries": [{part: job[part] for part in _SHOWN} for job in listed]}

    def stop_transform_job(self, *, TransformJobName: str) -> dict[str, Any]:
        """See SageMaker."""
        job = self._kept(TransformJobName)
        if job["TransformJobStatus"] != "InProgress":
            raise Refused("ValidationException", "The request was rejected because the transform job is not running.")
        job["TransformJobStatus"] = "Stopping"
        return {}

    def _kept(self, name: str) -> dict[str, Any]:
        if name not in self.jobs:
            raise Refused("ResourceNotFound", "Could not find requested job with name")
        return self.jobs[name]

    def _failure(self, job: dict[str, Any], fault: str) -> str:
        """Answer all objects; why that fails, empty if it does not."""
        if fault in ("silent", "ends"):
            return "AlgorithmError: See job logs for more information"
        source, target = job["TransformInput"], job["TransformOutput"]
        bucket, prefix = place_of(source["DataSource"]["S3DataSource"]["S3Uri"])
        there, output = place_of(target["S3OutputPath"])
        requests = {key: body for key, body in self.storage.objects[bucket].items() if key.startswith(prefix)}
        if not requests:
            return "ClientError: No S3 objects found under S3 URL"
        for key, body in sorted(requests.items()):
            status, answer = self.ask(job["ModelName"], body, source["ContentType"])
            if status != 200:
                return "ClientError: See job logs for more information"
            if fault == "mute":
                continue
            folder = f"{prefix.rstrip('/').rpartition('/')[2]}/" if self.nested else ""
            name = f"{output.rstrip('/')}/{folder}{key.removeprefix(prefix)}.out"
            self.storage.call("put_object", {"Bucket": there, "Key": name, "Body": answer})
        return ""
