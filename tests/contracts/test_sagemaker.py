"""Contract: SageMaker by a real boto3, against a stand-in whose responses have botocore's own shapes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import NotServing, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.deploy.platform_settings import SagemakerMode, SagemakerSettings
from mlflow_uv.core.deploy.running import RUNNING
from mlflow_uv.ops.deploy.sagemaker import open_target
from mlflow_uv.ops.deploy.sagemaker_models import SagemakerModels
from mlflow_uv.ops.deploy.target import DeploymentTarget, WantedVersion
from mlflow_uv.tools.cloud.aws import BotoAws, InvokedEndpoint, call
from mlflow_uv.tools.cloud.s3_folder import S3Folder
from mlflow_uv.tools.mlflow.model_requests import ModelRequest
from mlflow_uv.tools.toolbox import Tools, toolbox
from tests.console import KeptConsole
from tests.stand_ins.aws_service import aws_service
from tests.stand_ins.sagemaker import SageMakerAccount
from tests.stand_ins.web import listening
from tests.unit.ops.deploy.platforms import REPOSITORY, options_of
from tests.unit.ops.deploy.test_target import roll_out
from tests.unit.ops.deploy.worlds import QuickClock, digest_of, wanted_version

pytestmark = pytest.mark.installs

PAGE = b"<html><p>Log in to the network of the company<br></html>"
SECRET = "wJalrXUtnFEMI-made-up-secret"
# Prints what in each response is not as botocore describes it; `ParamValidator` looks at types, names and limits.
SHAPES = """
import json, sys
import botocore.session
from botocore.validate import ParamValidator

session = botocore.session.get_session()

def enums(shape, value, path):
    if value is None:
        return
    if getattr(shape, "enum", None) and value not in shape.enum:
        print(f"{path}: {value} is not one of {shape.enum}")
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                print(f"{path}: {name} is missing")
        for name, part in value.items():
            if name in shape.members:
                enums(shape.members[name], part, f"{path}.{name}")
    if shape.type_name == "list":
        for part in value:
            enums(shape.member, part, path)

for exchange in json.load(sys.stdin):
    shape = session.get_service_model(exchange["service"]).operation_model(exchange["operation"]).output_shape
    if shape is None:
        if exchange["response"]:
            print(f"{exchange['operation']} returns nothing")
        continue
    report = ParamValidator().validate(exchange["response"], shape)
    if report.has_errors():
        print(exchange["operation"], report.generate_report())
    enums(shape, exchange["response"], exchange["operation"])
    unknown = set(exchange["response"]) - set(shape.members)
    if unknown:
        print(exchange["operation"], "has unknown", unknown)
"""


@dataclass
class LoopbackAccount:
    """See the World of the unit tests: the account is asked by boto3."""

    account: SageMakerAccount
    tools: Tools
    settings: Mapping[str, Any] = field(default_factory=dict)
    deadline_s: float = 8

    def target(self) -> DeploymentTarget:
        """A target as a new run opens it."""
        given = {"role": "arn:aws:iam::123456789012:role/serving", "repository": REPOSITORY, **self.settings}
        options = options_of(SagemakerSettings(target="sagemaker", **given))
        return open_target(replace(options, deadline_s=self.deadline_s), self.tools)

    def plant(self, version: str, fault: str) -> None:
        """Let a version be wrong."""
        self.account.faults[f"{REPOSITORY}@{digest_of(version)}"] = fault


def in_ecr(version: str) -> WantedVersion:
    """A released version whose image is where SageMaker pulls from."""
    return replace(wanted_version(version), address=f"{REPOSITORY}@{digest_of(version)}")


@contextmanager
def tools_at(url: str, folder: Path, **more: str) -> Iterator[Tools]:
    """Real tools of a run with credentials for an account at an address."""
    variables = {
        **os.environ,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIDMADEUP",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }
    host = Host.of(variables, folder=folder, python=Path(sys.executable))
    with toolbox(host, console=KeptConsole()) as tools:
        yield replace(tools, clock=QuickClock())


def misshapen(python: Path, exchanges: list[dict[str, Any]]) -> str:
    """What botocore finds wrong in responses."""
    done = subprocess.run(
        [python, "-c", SHAPES], input=json.dumps(exchanges), capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_version_is_deployed_replaced_and_taken_back_by_boto3(tmp_path: Path) -> None:
    """
    Requests are checked by botocore before they are sent, responses by its shapes afterwards.
    """
    account, exchanges = SageMakerAccount(), list[dict[str, Any]]()
    with aws_service(account, exchanges) as url, tools_at(url, tmp_path) as tools:
        world = LoopbackAccount(account, tools)
        python = tools.environments.ours()
        begun = world.target()
        first = roll_out(begun, in_ecr("1"))
        begun.settle()
        world.plant("2", "wrong")
        second = roll_out(world.target(), in_ecr("2"))
        now = world.target().observe()
        refused = InvokedEndpoint(tools.web, begun._platform._aws, "prod", None).send(  # type: ignore[attr-defined]
            ModelRequest(method="POST", path="/", body=b"no json", timeout_s=5)
        )
        world.target().remove()
    (described, *_) = [exchange for exchange in exchanges if exchange["operation"] == "DescribeEndpoint"]
    planted = [{**described, "response": {**described["response"], "EndpointStatus": "Ready"}}]

    assert (64, True, ("1", RUNNING)) == (len(first.answers), second.returned, (now.version, now.facts["state"]))
    assert refused is not None
    assert (400, '{"message": "malformed"}') == (refused.status, refused.body)
    assert ({}, {}, {}) == (account.endpoints, account.models, account.configs)
    assert "" == misshapen(python, exchanges)
    assert "Ready is not one of" in misshapen(python, planted)


def test_a_version_without_servers_of_its_own_is_replaced_and_returned_from_by_boto3(tmp_path: Path) -> None:
    """
    The memory and the requests at the same time are those of the settings.
    """
    account, exchanges = SageMakerAccount(), list[dict[str, Any]]()
    with aws_service(account, exchanges) as url, tools_at(url, tmp_path) as tools:
        world = LoopbackAccount(account, tools, {"serverless_memory": 3072, "serverless_concurrency": 9})
        begun = world.target()
        roll_out(begun, in_ecr("1"))
        begun.settle()
        world.plant("2", "wrong")
        second = roll_out(world.target(), in_ecr("2"))
        now = world.target().observe()
        python = tools.environments.ours()

    (variant,) = account.configs[account.endpoints["prod"].config]["ProductionVariants"]
    assert {"MemorySizeInMB": 3072, "MaxConcurrency": 9} == variant["ServerlessConfig"]
    assert (True, "1", RUNNING) == (second.returned, now.version, now.facts["state"])
    assert "" == misshapen(python, exchanges)


def test_a_version_for_transform_jobs_is_tried_by_boto3(tmp_path: Path) -> None:
    """
    Requests and answers are objects in S3; a wrong version and one whose job fails leave no model and no object.
    """
    account, exchanges = SageMakerAccount(), list[dict[str, Any]]()
    batch = {"mode": SagemakerMode.BATCH, "transform_folder": "s3://cellar/trials"}
    with aws_service(account, exchanges) as url, tools_at(url, tmp_path) as tools:
        world = LoopbackAccount(account, tools, batch)
        begun = world.target()
        first = roll_out(begun, in_ecr("1"))
        begun.settle()
        models = dict(account.models)
        world.plant("2", "wrong")
        world.plant("3", "ends")
        second = roll_out(world.target(), in_ecr("2"))
        with pytest.raises(NotServing, match="AlgorithmError: See job logs"):
            roll_out(world.target(), in_ecr("3"))
        now = world.target().observe()
        kept = dict(account.models)
        world.target().remove()
        python = tools.environments.ours()

    assert ((), 64, True) == (first.findings, len(first.answers), second.returned)
    assert ("1", f"sagemaker:model/{next(iter(models))}") == (now.version, now.endpoint)
    assert (models, {}, {"cellar": {}}) == (kept, account.models, account.transforms.storage.objects)
    assert 3 == len(account.transforms.jobs)
    assert "" == misshapen(python, exchanges)


@pytest.mark.core_variants(2)
@pytest.mark.parametrize("operation", ["get_object", "get_authorization_token", "list_objects_v2"])
def test_a_response_that_is_not_one_of_aws_is_an_error_and_no_traceback(operation: str, tmp_path: Path) -> None:
    """
    A page of a proxy in place of a list or a token, and an object whose connection ends in the middle.
    """

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "4096" if operation == "get_object" else str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        do_POST = do_GET  # as the base class calls it

        def log_message(self, *_: object) -> None:
            pass

    with listening(Proxy) as url, tools_at(url, tmp_path) as tools:
        aws = BotoAws(tools.mlflow, tools.environments.ours(), "eu-west-1")
        folder = S3Folder(aws, "s3://cellar/a")
        options = options_of(SagemakerSettings(target="sagemaker", role="arn:aws:iam::1:role/r", repository=REPOSITORY))
        models = SagemakerModels(options, aws, tools)
        calls = {
            "list_objects_v2": folder.clear,
            "get_object": lambda: folder.read("x"),
            "get_authorization_token": lambda: models.create(wanted_version("1"), {}, {}),
        }
        reasons = {
            "list_objects_v2": "AWS refuses `list_objects_v2`: ",
            "get_object": "AWS refuses `get_object`: .*(Incomplete|Streaming)",
            "get_authorization_token": "the response to `get_authorization_token` is not one of AWS: it is not JSON",
        }
        with pytest.raises(ToolFailed, match=reasons[operation]):
            calls[operation]()


def test_what_answers_in_place_of_aws_is_no_success(tmp_path: Path) -> None:
    """
    With the status of a success: a page, nothing, and documents that are none of the operation.
    """
    body = b""

    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    model = {"ModelName": "a", "ExecutionRoleArn": "arn:aws:iam::123456789012:role/serving"}
    weights = {"EndpointName": "a", "DesiredWeightsAndCapacities": [{"VariantName": "b", "DesiredWeight": 1.0}]}
    exchanges: list[tuple[str, dict[str, Any], bytes]] = [
        ("delete_model", {"ModelName": "a"}, PAGE),
        ("delete_model", {"ModelName": "a"}, b""),
        ("create_model", model, PAGE),
        ("update_endpoint_weights_and_capacities", weights, PAGE),
        ("list_tags", {"ResourceArn": "arn:x"}, b""),
        ("list_models", {}, b"null"),
        ("list_models", {}, b'{"Models": [null]}'),
        ("describe_endpoint", {"EndpointName": "a"}, b'{"EndpointName": "\xff"}'),
    ]
    with listening(Other) as url, tools_at(url, tmp_path) as tools:
        aws = BotoAws(tools.mlflow, tools.environments.ours(), "eu-west-1")
        for operation, parameters, sent in exchanges:
            body = sent
            with pytest.raises(
                ToolFailed, match=f"the response to `{operation}` is not one of AWS: its? .*Fix: look at"
            ):
                call(aws, "sagemaker", operation, **parameters)


def test_without_credentials_the_error_says_what_to_do(tmp_path: Path) -> None:
    """
    And an account that is away is named; no secret is in any of it.
    """
    account = SageMakerAccount()
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": str(tmp_path)}
    denied = pytest.raises(ToolFailed, match=r"AWS denies `describe_endpoint`: NoCredentialsError.*Fix: give this job")
    with aws_service(account, []) as url, tools_at(url, tmp_path, **nobody) as tools, denied:
        LoopbackAccount(account, tools).target().observe()
    with tools_at("http://127.0.0.1:9", tmp_path) as tools, pytest.raises(ToolFailed) as caught:
        LoopbackAccount(account, tools).target().observe()

    assert "EndpointConnectionError" in caught.value.text
    assert SECRET not in caught.value.text
