"""Reads the metadata of installed packages, also where it is not UTF-8."""

from email import message_from_string
from email.message import Message
from importlib import metadata
from typing import cast


def headers_of(distribution: metadata.Distribution) -> Message:
    """The metadata of a package; installers also accept bytes in it that are not UTF-8, such as in an author's name."""
    try:
        return cast("Message", distribution.metadata)
    except UnicodeDecodeError as error:
        return message_from_string(error.object.decode("utf-8", "replace"))


def version_of(name: str) -> str:
    """Return the version of an installed package. Raises PackageNotFoundError, also for a folder without metadata."""
    version = headers_of(metadata.distribution(name)).get("Version")
    if not version:  # a folder that an uninstallation left behind
        raise metadata.PackageNotFoundError(name)
    return version


def requirements_of(name: str) -> "list[str]":
    """Return what an installed package requires, with extras and markers. Raises PackageNotFoundError."""
    distribution = metadata.distribution(name)
    try:
        return distribution.requires or []
    except UnicodeDecodeError:
        return headers_of(distribution).get_all("Requires-Dist") or []
