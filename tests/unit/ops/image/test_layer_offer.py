"""Which image's layers are offered, and which are not."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.report import Severity
from mlflow_uv.core.release.record import VersionLink
from mlflow_uv.ops.image.layer_offer import NO_OFFER, layer_offer, offered_layers
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.toolbox import Tools
from tests.unit.core.release.test_record import WHOLE

DIGEST = f"sha256:{'7' * 64}"


def tools_with(*names: str, trust: str = 'policy = "off"') -> Tools:
    """A registry that has images under these names; a name with `down` does not answer."""

    def digest_of_tag(name: str) -> str | None:
        if "down" in name:
            raise RegistryUnanswered("nobody answers")
        return DIGEST if name in names else None

    def documents(name: str, *_: str) -> None:
        digest_of_tag(name)

    registries = SimpleNamespace(digest_of_tag=digest_of_tag, attached=lambda *_: (), documents=documents)
    host = SimpleNamespace(variables={"MLFLOW_UV_TRUST": trust}, cache=Path("/nonexistent"))
    return cast(
        "Tools",
        SimpleNamespace(registries=registries, host=host, runner=None, libraries=SimpleNamespace(describe=dict)),
    )


@pytest.mark.parametrize(
    ("version", "tag", "found"),
    [
        ("7", "host:5/wine:7", "7"),
        ("9", "host:5/wine:9", "7"),
        ("18", "host:5/wine:18", ""),
        ("8", "host:5/wine:prod", ""),
        ("", "host:5/wine:abc", ""),
    ],
    ids=["own", "earlier", "long ago", "named", "not registered"],
)
def test_the_last_image_is_that_of_the_tag_or_an_earlier_version(version: str, tag: str, found: str) -> None:
    """
    No list of tags is read, in which anybody's could be the last.
    """
    link = VersionLink(name="wine", version=version, model_id="m") if version else None

    offer = layer_offer("auto", tag, replace(WHOLE, version=link), None, tools_with("host:5/wine:7"))

    assert f"host:5/wine@{DIGEST}" * bool(found) == offer.image
    assert ["image-layers-not-taken"] * (not found) == [finding.rule for finding in offer.findings]


@pytest.mark.parametrize("wanted", ["host:5/wine:7", f"host:5/wine@{DIGEST}", f"host:5/wine:7@{DIGEST}"])
def test_a_named_image_is_offered_by_its_digest(wanted: str) -> None:
    """
    So that a tag that moves meanwhile changes nothing.
    """
    offer = layer_offer(wanted, "other:1", WHOLE, None, tools_with("host:5/wine:7"))

    assert (f"host:5/wine@{DIGEST}", ()) == (offer.image, offer.findings)


def test_without_the_input_no_registry_is_asked() -> None:
    """
    Layers of others are never taken unasked.
    """
    assert NO_OFFER == layer_offer(None, "down/wine:7", WHOLE, None, tools_with())


def test_an_image_that_nobody_trusted_signed_is_a_warning() -> None:
    """
    The layers are made; with a policy that only warns, too.
    """
    for policy in ("require", "warn"):
        trust = f'policy = "{policy}"\nkeys = ["-----BEGIN PUBLIC KEY-----"]'
        offer = layer_offer("host:5/wine:7", "x:1", WHOLE, None, tools_with("host:5/wine:7", trust=trust))

        (finding,) = offer.findings
        assert ("", Severity.WARNING) == (offer.image, finding.severity)
        assert f"there is no attestation of host:5/wine@{DIGEST}" == finding.why


def test_wrong_trust_settings_are_an_error() -> None:
    """
    They are never read as none.
    """
    with pytest.raises(BadInput):
        layer_offer("host:5/wine:7", "x:1", WHOLE, None, tools_with("host:5/wine:7", trust=""))


def test_a_registry_that_does_not_answer_is_a_notice_and_without_an_image_nothing_is_offered() -> None:
    """
    The reason is that of the registry.
    """
    offer = layer_offer("down/wine:7", "x:1", WHOLE, None, tools_with())

    assert "nobody answers" == offer.findings[0].why
    assert offered_layers(NO_OFFER, "arm64", tools_with(), lists_only=False) is None


@pytest.mark.parametrize(
    ("place", "why"), [("host:5", "its registry has no such image for arm64"), ("down:5", "nobody answers")]
)
def test_a_digest_that_no_registry_returns_is_reported_when_its_layers_are_wanted(place: str, why: str) -> None:
    """
    So is a platform that an image lacks: each has its own image.
    """
    named = layer_offer(f"{place}/wine@{DIGEST}", "x:1", WHOLE, None, tools_with())

    offered = offered_layers(named, "arm64", tools_with(), lists_only=False)

    assert () == named.findings
    assert offered is not None
    assert ({}, why) == (offered.take({"k": "grape"}), offered.problem)
