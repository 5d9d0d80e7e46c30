"""Who may deploy, and what a checkout cannot decide about it."""

from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.settings import KEYS
from mlflow_uv.command.step import ValueLayer, configured, fields_of, settle
from mlflow_uv.steps.deploy import Inputs, run
from mlflow_uv.tools.toolbox import Tools


def test_a_pull_request_from_a_fork_does_not_deploy() -> None:
    """
    Not even a dry run looks at the target; nothing is read before.
    """
    tools = cast("Tools", SimpleNamespace(host=SimpleNamespace(untrusted_event=True)))

    with pytest.raises(BadInput, match="a pull request from a fork does not deploy"):
        run(Inputs(version_uri="models:/wine@champion", dry_run=True), tools)


def test_a_checkout_names_neither_the_proxy_nor_what_a_run_does() -> None:
    """
    They are inputs of a run; the setting `target` is that of export.
    """
    ours = {field.kebab for field in fields_of(Inputs)} & {"preview", "proxy-image", "remove", "target", "dry-run"}

    assert 5 == len(ours)
    assert {} == configured(Inputs, dict.fromkeys(ours, "x"))
    assert set() == (ours - {"target"}) & KEYS


@pytest.mark.parametrize("image", ["--privileged", "haproxy:2.6 --rm", "$(id)", "a\nb", "-"])
def test_the_image_of_the_proxy_is_a_reference(image: str) -> None:
    """
    It is an argument of the engine.
    """
    with pytest.raises(BadInput, match="not an image reference"):
        settle(Inputs, (ValueLayer("`{}`", {"version-uri": "models:/wine/1", "proxy-image": image}),))


@pytest.mark.parametrize("name", ["preview", "target"])
def test_an_empty_name_does_not_mean_another_deployment(name: str) -> None:
    """
    `--preview=$UNSET` would deploy to the deployment itself.
    """
    with pytest.raises(BadInput, match=f"`--{name}` is empty"):
        settle(Inputs, (ValueLayer("`--{}`", {"version-uri": "models:/wine/1", name: ""}),))


@pytest.mark.parametrize(("remove", "preview"), [("preview", ""), ("deployment", "pr-17")])
def test_what_is_removed_agrees_with_the_preview(remove: str, preview: str) -> None:
    """
    A workflow passes an input that is not set as an empty one, which is no preview: nothing is looked for then.
    """
    values = {"version-uri": "models:/wine/1", "remove": remove} | ({"preview": preview} if preview else {})
    inputs = settle(Inputs, (ValueLayer("input `{}`", values),))

    with pytest.raises(BadInput, match=f"`remove` is `{remove}`"):
        run(inputs, cast("Tools", SimpleNamespace(host=SimpleNamespace(untrusted_event=False))))
