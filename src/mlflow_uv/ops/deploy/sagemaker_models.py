"""Makes models of Amazon SageMaker that name an image by its digest, and finds those of a deployment by their tags."""

import base64
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from ...command.errors import BadInput, ToolFailed
from ...command.wording import step_call
from ...core.deploy.platform_settings import SagemakerSettings
from ...core.release.digests import sha256
from ...core.security.serve_env import ServeVariables
from ...tools.cloud.aws import Aws, AwsRefused, call
from ...tools.oci.logins import Login
from ...tools.oci.repository import RegistryUnanswered
from ...tools.toolbox import Tools
from .target import IMAGE, STATE, DeploymentOptions, WantedVersion, wanted_facts

_SERVICE = "sagemaker"
_TAG = "mlflow-uv:"
OWNER = f"{_TAG}endpoint"  # the deployment that something belongs to
# Of a model for transform jobs: in which slot it is, and the number of the run that chose it last.
SLOT, CHOSEN = f"{_TAG}slot", f"{_TAG}chosen"
_MARKS = frozenset({OWNER, SLOT, CHOSEN})
_LONGEST_NAME = 63
_HASH = 16
# Of an operation that finds nothing, or something of the name; both have the same code.
_ABSENT = re.compile(r"could not find|does not exist|not found", re.IGNORECASE)
_ABSENT_CODES = frozenset({"ValidationException", "ResourceNotFound"})  # a proxy's 404 has another code
_EXISTS = re.compile(r"already exist", re.IGNORECASE)
_ECR = re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/.+")
_TAG_SAFE = " :/=+-_."
_TIMEOUT = "REQUEST_TIMEOUT"
SERVERS = "servers"  # facts
_ROLE, _REQUEST_TIMEOUT, _VARIABLES = "role", "request timeout", "variables"
# Of what is created, how its name and address are called, and the parts that decide what it is.
_CREATED = {
    "model": (
        "Model",
        ("PrimaryContainer", "Containers", "InferenceExecutionConfig", "ExecutionRoleArn", "VpcConfig",
         "EnableNetworkIsolation"),
    ),
    "endpoint_config": (
        "EndpointConfig",
        ("ProductionVariants", "ShadowProductionVariants", "DataCaptureConfig", "AsyncInferenceConfig",
         "ExplainerConfig", "KmsKeyId", "ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation"),
    ),
}  # fmt: skip
_DEFAULTS = {"Mode": "SingleModel"}  # what the service adds to a container

Parts = Mapping[str, Any]


class SagemakerModels:
    """The models of one deployment, in an account and a region."""

    def __init__(self, options: DeploymentOptions, aws: Aws, tools: Tools) -> None:
        assert isinstance(options.settings, SagemakerSettings)  # noqa: S101  # those of its kind
        self.settings = options.settings
        self.name = options.settings.endpoint(options.name)
        self._answer_s = options.answer_s
        self._aws = aws
        self._tools = tools
        self._facts: dict[str, tuple[dict[str, str], bool]] = {}

    def facts(self, wanted: WantedVersion, servers: str) -> dict[str, str]:
        """The facts of a version on servers of some size. Raises BadInput for one that SageMaker cannot run."""
        if self.settings.role is None:
            raise BadInput(
                what="the deployment has no `role`",
                why="the servers of SageMaker have the rights of a role",
                fix='role = "arn:aws:iam::ACCOUNT:role/NAME" in the table of the deployment',
            )
        if wanted.serve_env.names and not self.settings.plain_variables:
            raise BadInput(
                what="SageMaker keeps the variables of a model in the clear",
                why=f"the model needs {', '.join(wanted.serve_env.names)}, and whoever may describe it would read them",
                fix="plain-variables = true in the table of the deployment, if none of them is a secret",
            )
        more = {
            SERVERS: servers,
            _ROLE: self.settings.role.rpartition("/")[2],
            _REQUEST_TIMEOUT: f"{self._answer_s:g} s",
            _VARIABLES: wanted.serve_env.summary,
        }
        return wanted_facts(wanted, self._image(wanted), more)

    def create(self, wanted: WantedVersion, facts: Mapping[str, str], marks: Mapping[str, str]) -> str:
        """Create the model of a version, with its facts and marks as tags; its name says what it is."""
        image = self._image(wanted)
        if image != wanted.address:
            self._copy(wanted.address, image)
        environment = {**wanted.serve_env.variables, _TIMEOUT: f"{self._answer_s:g}"}
        kept = {name: value for name, value in facts.items() if name != STATE}
        named = [image, kept, self.settings.role, sorted(environment.items()), *sorted(marks.items())]
        content = {
            "PrimaryContainer": {"Image": image, "Environment": environment},
            "ExecutionRoleArn": self.settings.role,
        }
        tags = self.tags(kept, marks)
        name, there = self.created("model", named, content, tags)
        if there is not None:
            self._use_again(name, there["ModelArn"], tags)
        return name

    def all(self) -> Iterator[tuple[Parts, dict[str, str]]]:
        """The models that belong to the deployment, as they are listed, with their tags."""
        for part in list(self.listed("list_models", "Models", NameContains=self.base)):
            tags = self.tags_of(part["ModelArn"])
            if tags.get(OWNER) == self.name:
                yield part, tags

    def facts_of(self, model: str) -> tuple[dict[str, str], bool]:
        """The facts of a model, which does not change, and whether it belongs to the deployment."""
        if model not in self._facts:
            found = self.found("describe_model", ModelName=model)
            tags = {} if found is None else self.tags_of(found["ModelArn"])
            facts = {
                name.removeprefix(_TAG): unquote(value.replace("@", "%"))
                for name, value in tags.items()
                if name.startswith(_TAG) and name not in _MARKS
            }
            if found is not None:  # tags may be changed, and a model is not
                facts |= _facts_in(found)
            self._facts[model] = facts, tags.get(OWNER) == self.name
        return self._facts[model]

    def _use_again(self, name: str, arn: str, tags: list[dict[str, str]]) -> None:
        """
        Give a model of the same content the tags of a new one, which no run has chosen.

        A model that was replaced is kept while a job uses it.
        """
        there = self.tags_of(arn)
        unchosen = [{"Key": CHOSEN, "Value": "0"}] if CHOSEN in there else []
        changed = [tag for tag in (*tags, *unchosen) if there.get(tag["Key"]) != tag["Value"]]
        if changed:
            self.call("add_tags", ResourceArn=arn, Tags=changed)
        self._facts.pop(name, None)

    def _image(self, wanted: WantedVersion) -> str:
        """The reference of the image by its digest. Raises BadInput if SageMaker cannot pull it."""
        image = wanted.record.image
        if image is None or not image.digest:
            raise BadInput(
                what=f"the image of {wanted.model} version {wanted.version} is in no registry",
                why="SageMaker pulls it by its digest",
                fix=step_call("release", push=True, image="ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME"),
            )
        if _ECR.fullmatch(wanted.address):
            return wanted.address
        if self.settings.repository is None:
            raise BadInput(
                what=f"`{wanted.address}` is not in Amazon ECR",
                why="SageMaker pulls images from there alone",
                fix='repository = "ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME" in the table of the deployment',
            )
        return f"{self.settings.repository}@{image.digest}"

    def _copy(self, source: str, target: str) -> None:
        self._tools.console.say(f"  copying the image to {target}")
        granted: Any = call(self._aws, "ecr", "get_authorization_token").get("authorizationData") or ({},)
        try:
            user, colon, password = base64.b64decode(granted[0].get("authorizationToken", "")).decode().partition(":")
        except ValueError:
            colon = ""
        if not colon:  # the text is a secret: not shown
            raise ToolFailed(
                what=f"the image cannot be copied to `{target.partition('@')[0]}`",
                why="Amazon ECR returned an authorization token that cannot be decoded",
            )
        try:
            self._tools.registries.copy(source, target, Login(user=user, password=password))
        except RegistryUnanswered as error:
            raise ToolFailed(
                what=f"the image cannot be copied to `{target.partition('@')[0]}`",
                why=str(error),
                fix="create the repository, or let the role of this job push to it" if error.denied else "",
            ) from error

    # names, tags and calls, for everything of the deployment

    @property
    def base(self) -> str:
        """What the names of everything that belongs to the deployment begin with."""
        return self.name[: _LONGEST_NAME - _HASH - 1].rstrip("-")

    def created(self, kind: str, named: object, content: Parts, tags: list[dict[str, str]]) -> tuple[str, Parts | None]:
        """
        Create a model or an endpoint configuration that is named after its content; its name, and what was there.

        What has the name and is another content, or belongs to no run of this deployment, is left alone: then the name
        is one that nothing has.
        """
        key, parts = _CREATED[kind]
        name = self._named(named)
        if self._call_unless_there(f"create_{kind}", **{f"{key}Name": name}, **content, Tags=tags):
            return name, None
        there = self.call(f"describe_{kind}", **{f"{key}Name": name})
        same = _given(there, parts) == _given(content, parts)
        if same and self.tags_of(there[f"{key}Arn"]).get(OWNER) == self.name:
            return name, there
        self._tools.console.say(f"  {name} is there, and not what this run would create: it is left alone")
        name = self._named([named, secrets.token_hex(_HASH)])
        self.call(f"create_{kind}", **{f"{key}Name": name}, **content, Tags=tags)
        return name, None

    def _named(self, content: object) -> str:
        """A name that says to what deployment and content something belongs; it fits into the limit of all names."""
        return f"{self.base}-{sha256(json.dumps([self.name, content], sort_keys=True).encode())[:_HASH]}"

    def tags(self, facts: Mapping[str, str], marks: Mapping[str, str]) -> list[dict[str, str]]:
        """Tags that say to which deployment something belongs, and what it is."""
        tags = {OWNER: self.name, **marks} | {
            f"{_TAG}{name}": quote(value, safe=_TAG_SAFE).replace("%", "@") for name, value in facts.items()
        }
        return [{"Key": key, "Value": value} for key, value in tags.items()]

    def tags_of(self, arn: str) -> dict[str, str]:
        """The tags of something."""
        return {tag["Key"]: tag["Value"] for tag in self.listed("list_tags", "Tags", ResourceArn=arn)}

    def call(self, operation: str, **parameters: Any) -> Parts:
        """What an operation returns. Raises AwsRefused, PlanOutdated."""
        return call(self._aws, _SERVICE, operation, **parameters)

    def _call_unless_there(self, operation: str, **parameters: Any) -> bool:
        """Create something that is named after its content; False if it is there."""
        try:
            self.call(operation, **parameters)
        except AwsRefused as error:
            if _EXISTS.search(error.message) is None:
                raise
            return False
        return True

    def found(self, operation: str, **parameters: Any) -> Parts | None:
        """What is described, None without it."""
        try:
            return self.call(operation, **parameters)
        except AwsRefused as error:
            if error.code not in _ABSENT_CODES or _ABSENT.search(error.message) is None:
                raise
            return None

    def listed(self, operation: str, part: str, **parameters: Any) -> Iterator[Parts]:
        """Everything on the pages of a list."""
        token: dict[str, Any] = {}
        while True:
            page = self.call(operation, **parameters, **token)
            yield from page[part]
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


def _facts_in(model: Parts) -> dict[str, str]:
    """The facts that a model itself says."""
    container = model.get("PrimaryContainer") or {}
    variables = dict(container.get("Environment") or {})
    timeout = variables.pop(_TIMEOUT, None)
    return {
        IMAGE: str(container.get("Image", "")),
        _ROLE: str(model.get("ExecutionRoleArn", "")).rpartition("/")[2],
        _REQUEST_TIMEOUT: "none" if timeout is None else f"{timeout} s",
        _VARIABLES: ServeVariables(variables).summary,
    }


def _given(content: Parts, names: Iterable[str]) -> Any:
    """The parts of what was or is to be created, without those that say nothing and what the service adds."""
    return _without_empty({name: content.get(name) for name in names})


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        parts = {name: _without_empty(part) for name, part in value.items() if _DEFAULTS.get(name) != part}
        return {name: part for name, part in parts.items() if not (part is None or part is False or part in ("", {}))}
    return [_without_empty(part) for part in value] or None if isinstance(value, (list, tuple)) else value
