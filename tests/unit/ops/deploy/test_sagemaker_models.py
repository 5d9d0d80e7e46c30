"""Models of SageMaker: their names, and the copy of an image to Amazon ECR."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.deploy.sagemaker_models import SagemakerModels
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.toolbox import Tools

from .platforms import REPOSITORY, KeptAws, SagemakerWorld, options_of, sagemaker_world
from .worlds import digest_of, tools_of_tests, wanted_version


def models_of(world: SagemakerWorld, copy: Any) -> SagemakerModels:
    """The models of a deployment, with what copies an image."""
    registries = SimpleNamespace(copy=copy)
    tools = cast("Tools", SimpleNamespace(**vars(tools_of_tests()), registries=registries))
    return SagemakerModels(options_of(world.settings), KeptAws(world.account), tools)


def test_a_model_that_is_there_gets_the_tags_that_it_lacks_alone() -> None:
    """
    Nothing is written to one that has them all.
    """
    world = sagemaker_world()
    models, wanted = models_of(world, lambda *_: 0), wanted_version("1")
    facts = models.facts(wanted, "1")
    name = models.create(wanted, facts, {"mlflow-uv:slot": "blue"})
    arn = world.account.models[name]["ModelArn"]
    tags = list(world.account.tags[arn])

    models.create(wanted, facts, {"mlflow-uv:slot": "blue"})
    added = [operation for operation, _ in world.account.calls if operation == "add_tags"]
    world.account.tags[arn] = [tag for tag in tags if tag["Key"] != "mlflow-uv:version"]
    models.create(wanted, facts, {"mlflow-uv:slot": "blue"})
    changes = [parameters["Tags"] for operation, parameters in world.account.calls if operation == "add_tags"]

    assert ([], [["mlflow-uv:version"]]) == (added, [[tag["Key"] for tag in change] for change in changes])
    assert sorted(map(str, tags)) == sorted(map(str, world.account.tags[arn]))


def test_a_name_says_what_the_model_is() -> None:
    """
    Another image, variable or mark is another model; the same again is the one that is there.
    """
    world = sagemaker_world(plain_variables=True)
    models = models_of(world, lambda *_: 0)
    first = wanted_version("1")
    greeting = replace(first, serve_env=ServeVariables({"GREETING": "hi"}))

    names = [
        models.create(wanted, models.facts(wanted, "1"), marks)
        for wanted, marks in (
            (first, {}),
            (first, {}),
            (first, {"mlflow-uv:slot": "blue"}),
            (wanted_version("2"), {}),
            (greeting, {}),
        )
    ]

    assert names[0] == names[1]
    assert 4 == len(set(names)) == len(world.account.models)


def test_the_login_of_ecr_is_that_of_the_account() -> None:
    """
    It is asked for before each copy, since it expires.
    """
    world, copied = sagemaker_world(), []
    world.account.login = "AWS:short-lived:with:colons"
    models = models_of(world, lambda source, target, login: copied.append((source, target, login)))

    models.create(wanted_version("1"), {}, {})

    ((source, target, login),) = copied
    assert (digest_of("1"), f"{REPOSITORY}@{digest_of('1')}") == (source, target)
    assert ("AWS", "short-lived:with:colons") == (login.user, login.password)
    assert "short-lived" not in repr(login)


@pytest.mark.parametrize(("denied", "fix"), [(True, "Fix: create the repository"), (False, "unreachable$")])
def test_a_copy_that_fails_leaves_no_model(denied: bool, fix: str) -> None:
    """
    The reason is that of the registry.
    """
    world = sagemaker_world()

    def copy(*_: Any) -> None:
        raise RegistryUnanswered("the registry is unreachable", denied=denied)

    with pytest.raises(ToolFailed, match=f"cannot be copied to `{REPOSITORY}`.*{fix}"):
        models_of(world, copy).create(wanted_version("1"), {}, {})

    assert {} == world.account.models


@pytest.mark.parametrize("token", ["abc", "/w==", "bm8tY29sb24=", "\u00e9"])
def test_a_login_that_cannot_be_decoded_is_named_and_not_shown(token: str) -> None:
    """
    Neither what is no base64, nor what is no text or no login.
    """
    world = sagemaker_world()
    world.account.token = token

    with pytest.raises(ToolFailed, match="authorization token that cannot be decoded") as refused:
        models_of(world, lambda *_: 0).create(wanted_version("1"), {}, {})

    assert token not in str(refused.value)
    assert {} == world.account.models
