"""Finds the cause of a failed image build in the output of the engine."""

import re

from ...command.errors import NoSpace, StepError, ToolFailed
from ...command.wording import Wording, local, option
from ...core.image.system_libraries import instead_of
from ..system.process import Completed

# What BuildKit writes before every line of a step: its number, and the second.
_STEP = re.compile(r"^#\d+ (?:\d+\.\d+(?: |$))?", re.MULTILINE)
# uv's error, its causes, what a program said that it started, indented, and a hint.
_ERROR = re.compile(r"^error: (.+)((?:\n  cause: .+)*)((?:\n(?=\n)|\n  .*)*)(?:\nhint: (.+))?", re.MULTILINE)
_BUILDING = re.compile(r"Failed to build `([\w.-]+)")
# The first that fits is what mends it. Each is held by a test with the real uv.
_MENDS = (
    (r"invalid peer certificate", "SSL_CERT_FILE=FILE, with the certificates of this network"),
    (r"proxy authorization required", "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"),
    (r"dns error|tcp connect error", "HTTPS_PROXY=URL, or UV_DEFAULT_INDEX=URL of an index that is reached from here"),
    (r"\(40[13] ", "UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD for the index called NAME, or a netrc"),
    (r"Hash mismatch", "find out who changed that file; uv lock would take it as it is now"),
)


def build_error(done: Completed) -> StepError:
    """The error of a build that failed: what the step said, and what mends that where it is known."""
    text = _STEP.sub("", f"{done.stdout}\n{done.stderr}")
    found = _ERROR.search(text)
    why = _reason(found) if found else _told(text) or done.last_line
    if "no space left on device" in done.stderr.lower():
        what = "the image cannot be built: a disk of the engine is full"
        return NoSpace(
            what=what, why=why, fix=local("docker system df, then docker builder prune", "a runner with a larger disk")
        )
    if re.search(r"exporting manifest lists|Multi-platform build is not supported", done.stderr):
        return ToolFailed(
            what="Docker's own builder builds for one platform at a time",
            why=done.last_line,
            fix=Wording(
                local("docker buildx create --use", "a step with docker/setup-buildx-action before this one"),
                ", Docker's containerd image store, or ",
                option("engine", "podman"),
            ),
        )
    if found and (package := _BUILDING.match(found[1])):
        return unbuildable(package[1], why=why)
    told = found[0] if found else ""
    fix = next((fix for words, fix in _MENDS if re.search(words, told)), "see the log above")
    return ToolFailed(what="the image cannot be built", why=why, fix=fix)


def unbuildable(package: str, *, why: str) -> ToolFailed:
    """The error of a package that the base image cannot build."""
    return ToolFailed(
        what=f"`{package}` has no wheel for the base image and cannot be built in it",
        why=why,
        fix=Wording(
            option("base-image", "NAME"),
            " of one with a compiler, or ",
            instead_of(package) or f"uv lock --upgrade-package {package} to one that has a wheel",
        ),
    )


def _reason(found: re.Match[str]) -> str:
    """uv's error with its deepest cause: the last line of a program that it started, or a hint that tells more."""
    error, causes, quoted, hint = found.groups(default="")
    said = [line.strip() for line in quoted.splitlines() if line.strip()]
    if _BUILDING.match(error) and said:
        return said[-1]
    last = [cause.removeprefix("  cause: ") for cause in causes.splitlines()[-1:]]
    if re.search(r"\(40[13] ", hint):
        last = [hint]
    return ": ".join((error, *last))


def _told(text: str) -> str:
    """The first error that is not the engine's own, which says only which step failed."""
    found = re.search(r"(?im)^error\b(?! running| building|: building|: failed to solve).*", text)
    return found[0] if found else ""
