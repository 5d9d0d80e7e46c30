"""A version, model or alias that does not exist: the error and a fix that the command line accepts."""

import shlex
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.ops.lineage.version_lookup import (
    CANDIDATE,
    CHAMPION,
    VERSION_URI,
    VersionInput,
    parsed_uri,
    version_number,
    version_of_alias,
)
from mlflow_uv.payloads.messages.registry import RegisteredName
from mlflow_uv.surfaces.cli import _parsed

ALIASES: dict[str, dict[str, str]] = {
    "wine": {"candidate": "2", "champion": "1"},
    "new": {},
    "fruit wine": {"candidate": "1"},
}
FRUIT_WINE = "--model-name 'fruit wine'"
VERSIONS: dict[str, list[str]] = {"wine": ["1", "2"], "new": [], "fruit wine": ["1"]}


def registry(*names: str) -> RegistryClient:
    """A registry with some of these models."""

    def find_versions(name: str) -> tuple[SimpleNamespace, ...]:
        return tuple(SimpleNamespace(version=number) for number in VERSIONS.get(name, []))

    def describe_name(name: str) -> RegisteredName:
        return (
            RegisteredName(exists=True, aliases=ALIASES[name])
            if name in names
            else RegisteredName(exists=False, names=names)
        )

    client = SimpleNamespace(find_versions=find_versions, describe_name=describe_name)
    return cast("RegistryClient", SimpleNamespace(client=client))


@pytest.mark.parametrize(("version", "number"), [("2", "2"), ("002", "2"), ("candidate", "2"), ("champion", "1")])
def test_a_version_is_named_by_number_or_alias(version: str, number: str) -> None:
    """
    The number of the version is the same for both.
    """
    assert number == version_number(registry("wine"), "wine", version, CANDIDATE)


@pytest.mark.parametrize(
    ("step", "named_by", "model", "version", "what", "fix"),
    [
        ("promote", CANDIDATE, "wine", "candidat", "`wine` has no alias `candidat`", "--candidate candidate"),
        ("evaluate", CANDIDATE, "wine", "nobody", "`wine` has no alias `nobody`", "--candidate candidate"),
        ("promote", CANDIDATE, "wine", "9", "`wine` has no version 9", "--candidate 2"),
        ("promote", CANDIDATE, "new", "nobody", "`new` has no alias `nobody`", "mlflow-uv release"),
        ("promote", CANDIDATE, "new", "9", "`new` has no version 9", "mlflow-uv release"),
        ("promote", CANDIDATE, "wein", "candidate", "there is no registered model `wein`", "--model-name wine"),
        ("evaluate", CANDIDATE, "wein", "7", "there is no registered model `wein`", "--model-name wine"),
        ("promote", CANDIDATE, "beer", "candidate", "there is no registered model `beer`", "mlflow-uv release"),
        ("evaluate", CANDIDATE, "fruit-wine", "1", "there is no registered model `fruit-wine`", FRUIT_WINE),
        ("rollback", CHAMPION, "fruit wine", "champion", "`fruit wine` has no alias `champion`", "mlflow-uv promote"),
        ("rollback", CHAMPION, "wine", "champio", "`wine` has no alias `champio`", "--champion champion"),
        ("rollback", CHAMPION, "wein", "champion", "there is no registered model `wein`", "--model-name wine"),
        ("audit", VERSION_URI, "wine", "9", "`wine` has no version 9", "--version-uri models:/wine/2"),
        ("audit", VERSION_URI, "wine", "champ", "`wine` has no alias `champ`", "--version-uri models:/wine@champion"),
        ("audit", VERSION_URI, "wein", "1", "there is no registered model `wein`", "--version-uri models:/wine/1"),
    ],
)
def test_what_does_not_exist_has_a_fix_that_names_what_does(
    step: str, named_by: VersionInput, model: str, version: str, what: str, fix: str
) -> None:
    """
    The similar model or alias, else the usual one, else the step that creates it; the parser accepts each.
    """
    look_up = version_of_alias if named_by is CHAMPION else version_number

    with pytest.raises(BadInput) as caught:
        look_up(registry("wine", "new", "fruit wine"), model, version, named_by)

    words = shlex.split(fix)
    command = words[1:] if words[0] == "mlflow-uv" else [step, *words]
    assert (what, fix, command[0]) == (caught.value.what, caught.value.fix, _parsed(command).step.name)


def test_an_empty_registry_has_a_release_as_its_fix() -> None:
    """
    There is no name to suggest.
    """
    with pytest.raises(BadInput) as caught:
        version_number(registry(), "wine", "candidate", CANDIDATE)

    assert ("the registry does not know it", "mlflow-uv release") == (caught.value.why, caught.value.fix)


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("wine", "models:/wine@champion"),
        ("wine@candidate", "models:/wine@candidate"),
        ("wine/3", "models:/wine/3"),
        ("models:/fruit wine", "models:/fruit wine@champion"),
        ("models://wine/3/", "models:/wine/3"),
        ("runs:/0123/model", "models:/NAME@ALIAS"),
    ],
)
def test_a_text_that_is_no_uri_has_a_fix_that_is_one(text: str, uri: str) -> None:
    """
    The fix is the URI that was probably meant, as a flag of the command line.
    """
    with pytest.raises(BadInput) as caught:
        parsed_uri(text)

    assert ["--version-uri", uri] == shlex.split(caught.value.fix)
    assert parsed_uri(uri)
