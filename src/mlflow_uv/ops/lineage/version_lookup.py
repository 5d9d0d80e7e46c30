"""Finds the version that an input names by number or alias; an error names a version, model or step that exists."""

import re
from collections.abc import Callable

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.report import first_names
from ...command.wording import near_name, option, step_call
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .registry_client import RegistryClient

_SHOWN = 9


@lazy_dataclass
class VersionInput:
    """
    The input of a step that names a version, for the fixes of messages.

    `usual` is the alias that it usually names, and `origin` the step that sets this alias.
    """

    name: str
    usual: str
    origin: str

    def naming_version(self, model: str, version: str) -> str:  # noqa: ARG002  # a URI has the model too
        """The input with another version, by number or alias."""
        return option(self.name, version)

    def naming_model(self, model: str, version: str) -> str:  # noqa: ARG002  # a URI has the version too
        """The input that names another registered model."""
        return option("model-name", model)


class VersionUriInput(VersionInput):
    """The input `version-uri`, which names the model and its version."""

    def naming_version(self, model: str, version: str) -> str:
        """See VersionInput."""
        return option(self.name, f"models:/{model}{'/' if version.isdecimal() else '@'}{version}")

    naming_model = naming_version


_URI = lazy_pattern(r"models:/(?P<name>[^/]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
CANDIDATE = VersionInput(name="candidate", usual="candidate", origin="release")
CHAMPION = VersionInput(name="champion", usual="champion", origin="promote")
URL_VERSION = VersionUriInput(name="url-version", usual="champion", origin="release")
VERSION_URI = VersionUriInput(name="version-uri", usual="champion", origin="release")


def parsed_uri(uri: str, named_by: VersionInput = VERSION_URI) -> tuple[str, str, str | None]:
    """Return model name, version number (empty for an alias) and alias (None for a number) of a models:/ URI."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise BadInput(
            what=f"`{uri}` is not the URI of a version",
            why="expected is models:/NAME@ALIAS or models:/NAME/NUMBER",
            fix=option(named_by.name, _similar_uri(uri)),
        )
    return match["name"], match["version"] or "", match["alias"]


def _similar_uri(text: str) -> str:
    """The URI that a text without `models:/`, or without an alias, may stand for."""
    match = re.fullmatch(r"(?:models:/+)?(?P<name>[\w .-]+)(?P<version>@[^/@]+|/\d+)?/?", text)
    return f"models:/{match['name']}{match['version'] or f'@{VERSION_URI.usual}'}" if match else "models:/NAME@ALIAS"


def version_number(registry: RegistryClient, model: str, version: str, named_by: VersionInput) -> str:
    """
    Return the number of a version that an input names by number or alias.

    Raises BadInput if the registry does not have it.
    """
    if not version.isdecimal():
        return version_of_alias(registry, model, version, named_by)
    number = str(int(version))
    versions = [entry.version for entry in registry.client.find_versions(model)]
    if number in versions:
        return number
    if not versions:
        require_model(registry, model, lambda other: named_by.naming_model(other, version))
    raise BadInput(
        what=f"`{model}` has no version {number}",
        why=f"its versions are {', '.join(versions[-_SHOWN:])}" if versions else "it has no version at all",
        fix=named_by.naming_version(model, versions[-1]) if versions else step_call(named_by.origin),
    )


def version_of_alias(registry: RegistryClient, model: str, alias: str, named_by: VersionInput) -> str:
    """Return the number of the version that an alias points to. Raises BadInput if the registry does not have it."""
    aliases = require_model(registry, model, lambda other: named_by.naming_model(other, alias))
    if alias in aliases:
        return aliases[alias]
    shown = ", ".join(f"{other} (version {number})" for other, number in sorted(aliases.items()))
    other = near_name(alias, aliases) or (named_by.usual if named_by.usual in aliases else None)
    raise BadInput(
        what=f"`{model}` has no alias `{alias}`",
        why=f"its aliases are {shown}" if shown else "it has no alias",
        fix=named_by.naming_version(model, other) if other else step_call(named_by.origin),
    )


def require_model(registry: RegistryClient, model: str, naming: Callable[[str], str]) -> dict[str, str]:
    """
    Return the aliases of a registered model with their versions.

    Raises BadInput if there is no such model; its fix is `naming` of the most similar model, else a release.
    """
    description = registry.client.describe_name(model)
    if description.exists:
        return dict(description.aliases)
    names = sorted(description.names)
    other = near_name(model, names)
    shown = f"; it has {first_names(names, most=_SHOWN)}" if names else ""
    raise BadInput(
        what=f"there is no registered model `{model}`",
        why=f"the registry does not know it{shown}",
        fix=naming(other) if other else step_call("release"),
    )
