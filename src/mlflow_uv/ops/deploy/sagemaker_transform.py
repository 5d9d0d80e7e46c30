"""
Deploys to Amazon SageMaker for transform jobs: the image as a model that jobs of others name.

A model costs nothing while no job runs. Each version has a model of its own, which a job of this program tries before
a number in its tags says that it is the one to use.
"""

from collections.abc import Iterable, Iterator, Mapping

from ...command.errors import BadInput, ToolFailed
from ...core.deploy.difference import Facts
from ...core.deploy.running import RUNNING
from ...core.deploy.served_containers import SLOTS
from ...tools.cloud.aws import Aws
from ...tools.mlflow.endpoint import Endpoint
from ...tools.toolbox import Tools
from .sagemaker_models import CHOSEN, OWNER, SLOT, Parts, SagemakerModels
from .sagemaker_trial import TriedModel, trial_folder
from .shared_endpoint import EndpointVariant, PlatformEndpoint
from .target import STATE, DeploymentOptions, WantedVersion

_REPLACED = "replaced"  # the slot of a model that is only kept for a job that uses it
_WHOLE = 100.0  # percent


class SagemakerTransform:
    """See shared_endpoint.ServingPlatform; the model to use is the one that has all the traffic."""

    place = "in this account and region"
    beside = True
    divides = False

    def __init__(self, options: DeploymentOptions, aws: Aws, tools: Tools) -> None:
        self._account = SagemakerModels(options, aws, tools)
        self._deadline_s = options.deadline_s
        self._aws = aws
        self._tools = tools
        self._tried: dict[str, TriedModel] = {}
        self.name = self._account.name

    def look(self) -> PlatformEndpoint | None:
        """See ServingPlatform. Raises BadInput where an endpoint has the name of the deployment."""
        if self._account.found("describe_endpoint", EndpointName=self.name) is not None:
            raise BadInput(
                what=f"`{self.name}` is an endpoint, and `mode` is batch",
                why="it would go on running beside the model for transform jobs",
                fix='remove the deployment with mode = "endpoint" first, or give this one another name',
            )
        models = self._models()
        if not models:
            return None
        chosen = _chosen(models)
        variants = {}
        for slot, (part, _) in models.items():
            facts = {**self._account.facts_of(part["ModelName"])[0], STATE: RUNNING}
            variants[slot] = EndpointVariant(facts=facts, share=_WHOLE if slot == chosen else 0)
        address = f"sagemaker:model/{models[chosen][0]['ModelName']}" if chosen else ""
        return PlatformEndpoint(variants=variants, address=address)

    def facts(self, wanted: WantedVersion) -> dict[str, str]:
        """See ServingPlatform."""
        settings = self._account.settings
        if settings.transform_folder is None:
            raise BadInput(
                what="the deployment has no `transform-folder`",
                why="a transform job reads its requests from Amazon S3, and writes its answers there",
                fix='transform-folder = "s3://BUCKET/FOLDER" in the table of the deployment',
            )
        if settings.serverless_memory is not None:
            raise BadInput(
                what="the deployment has `serverless-memory`, and `mode` is batch",
                why="a transform job has servers of its own",
                fix="remove one of them from the table of the deployment",
            )
        return self._account.facts(wanted, f"those of each job, tried on {settings.instances} {settings.instance_type}")

    def create(self, slot: str, wanted: WantedVersion) -> bool:
        """See ServingPlatform."""
        self._drop(part["ModelName"] for part, tags in self._account.all() if tags.get(SLOT) == slot)
        self._account.create(wanted, self.facts(wanted), {SLOT: slot})
        return True

    def route(self, slot: str, percent: int) -> bool:
        """See ServingPlatform; the model gets a number that is higher than all others, in one call."""
        assert percent == _WHOLE  # noqa: S101  # see `divides`
        models = self._models()
        newest = max(map(_number, models.values()), default=0)
        if slot in models and slot != _chosen(models):
            arn = models[slot][0]["ModelArn"]
            self._account.call("add_tags", ResourceArn=arn, Tags=[{"Key": CHOSEN, "Value": str(newest + 1)}])
        return True

    def keep(self, slot: str) -> bool:
        """See ServingPlatform; a model that a job of others still uses is deleted by a later run."""
        models = self._models()
        if slot not in models:
            raise ToolFailed(what=f"the model `{slot}` of `{self.name}` is gone", why="somebody deleted it")
        self.route(slot, int(_WHOLE))
        kept = models[slot][0]["ModelName"]
        self._drop(
            part["ModelName"] for part, tags in self._account.all() if SLOT in tags and part["ModelName"] != kept
        )
        return True

    def replaced(self, version: str) -> str | None:
        """See ServingPlatform; a model that was replaced is deleted."""
        del version
        return None

    def delete(self) -> bool:
        """See ServingPlatform. Raises ToolFailed while a job of others uses a model."""
        models = frozenset(part["ModelName"] for part, tags in self._account.all() if SLOT in tags)
        for job, model in self._jobs(models):
            raise ToolFailed(
                what=f"the transform job `{job}` uses the model `{model}` of the deployment",
                why="it may need the model until it has ended",
                fix="run it again when the job has ended",
            )
        for model in sorted(models):
            self._account.call("delete_model", ModelName=model)
        if self._account.settings.transform_folder is not None:
            trial_folder(self._account, self._aws).clear()
        return True

    def remnants(self) -> dict[str, Facts]:
        """See ServingPlatform; its models are what runs."""
        return {}

    def server(self, slot: str | None) -> Endpoint:
        """See ServingPlatform."""
        models = self._models()
        chosen = slot or _chosen(models)
        if chosen not in models:
            raise ToolFailed(what=f"the model `{chosen}` of `{self.name}` is gone", why="somebody deleted it")
        model = models[chosen][0]["ModelName"]
        if model not in self._tried:
            self._tried[model] = TriedModel(self._account, self._aws, self._tools, model, self._deadline_s)
        return self._tried[model]

    def _models(self) -> dict[str, tuple[Parts, Mapping[str, str]]]:
        """The models by their slots; of two that runs made in one slot at the same time, that of the higher number."""
        models = [(part, tags) for part, tags in self._account.all() if tags.get(SLOT) in SLOTS]
        models.sort(key=lambda model: (_number(model), str(model[0]["ModelName"])))
        return {tags[SLOT]: (part, tags) for part, tags in models}

    def _drop(self, names: Iterable[str]) -> None:
        """Delete models; one that a job of others uses is kept for it."""
        models = frozenset(names)
        used = {model: job for job, model in self._jobs(models)}
        for model in sorted(models):
            if model not in used:
                self._account.call("delete_model", ModelName=model)
                continue
            self._tools.console.say(f"  the model {model} is kept for the transform job {used[model]}")
            found = self._account.found("describe_model", ModelName=model) or {}
            tags = [{"Key": SLOT, "Value": _REPLACED}]
            self._account.call("add_tags", ResourceArn=found.get("ModelArn", ""), Tags=tags)

    def _jobs(self, models: frozenset[str]) -> Iterator[tuple[str, str]]:
        """The running jobs of others that use one of the models; those of runs that were killed are stopped."""
        if not models:
            return
        for part in self._account.listed("list_transform_jobs", "TransformJobSummaries", StatusEquals="InProgress"):
            job = part["TransformJobName"]
            model = (self._account.found("describe_transform_job", TransformJobName=job) or {}).get("ModelName")
            if model not in models:
                continue
            if self._account.tags_of(part["TransformJobArn"]).get(OWNER) == self.name:
                self._account.call("stop_transform_job", TransformJobName=job)
            else:
                yield job, str(model)


def _chosen(models: Mapping[str, tuple[Parts, Mapping[str, str]]]) -> str:
    """
    The slot of the model to use, empty if no run chose one.

    Runs that choose at the same time may write the same number; then the name of the slot decides, everywhere.
    """
    slot = max(models, key=lambda other: (_number(models[other]), other), default="")
    return slot if slot and _number(models[slot]) else ""


def _number(model: tuple[Parts, Mapping[str, str]]) -> int:
    """The number of the run that chose a model last, 0 if none did."""
    text = model[1].get(CHOSEN, "")
    return int(text) if text.isdecimal() else 0
