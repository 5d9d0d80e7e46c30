"""Reads the command lines of pip and uv that install packages."""

from typing import NamedTuple

from ...command.lazy_pattern import lazy_pattern
from .version_ranges import normal_name

_PIP = lazy_pattern(r"(.*/)?pip[0-9.]*")
_PYTHON = lazy_pattern(r"(.*/)?python[0-9.]*|\$\{?\w+\}?")
_UV = lazy_pattern(r"(.*/)?uv")
_ASSIGNMENT = lazy_pattern(r"[A-Za-z_]\w*=.*")
_PREFIXES = frozenset({"sudo", "exec", "time", "command", "env", "then", "do", "else"})
_REQUIREMENT = lazy_pattern(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*+(?:\[[^\]]*\])?\s*+([=<>!~].*)?")
# Flags whose value is the next word.
_VALUED = frozenset({
    "-c", "--constraint", "--constraints", "--build-constraint", "-i", "--index-url", "--index", "--default-index",
    "--extra-index-url", "-f", "--find-links", "-t", "--target", "--prefix", "--root", "--python", "-p", "--cache-dir",
    "--trusted-host", "--allow-insecure-host", "--timeout", "--default-timeout", "--retries", "--no-binary",
    "--only-binary", "--platform", "--python-platform", "--python-version", "--abi", "--implementation",
    "--upgrade-strategy", "--progress-bar", "--proxy", "--cert", "--log", "--src", "-C", "--config-settings",
    "--global-option", "--index-strategy", "--keyring-provider", "--link-mode", "--torch-backend", "--exclude-newer",
    "--resolution", "--prerelease", "--directory", "--project", "--config-file", "--color", "--report",
    "--root-user-action", "--use-feature", "--use-deprecated", "--exists-action", "--refresh-package",
    "--upgrade-package", "-P", "--no-build-package", "--no-binary-package", "--override", "--overrides", "--extra",
})  # fmt: skip


class PipInstall(NamedTuple):
    """An installation by pip, or by `uv pip`: its requirement files, projects and named packages with their ranges."""

    files: tuple[str, ...]
    projects: tuple[str, ...]
    packages: tuple[tuple[str, str], ...]
    resolves: bool


class UvCommand(NamedTuple):
    """A call of uv: its subcommand, and the words after it."""

    name: str
    words: tuple[str, ...]


def bare_command(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a command without `sudo`, `env` and assignments of variables before it."""
    at = 0
    while at < len(words) and (words[at] in _PREFIXES or _ASSIGNMENT.fullmatch(words[at])):
        at += 1
    return words[at:]


def uv_command(words: tuple[str, ...]) -> UvCommand | None:
    """The call of uv that a command is; None for another program."""
    words = bare_command(words)
    if not words or not _UV.fullmatch(words[0]):
        return None
    rest = _without_flags(words[1:])
    return UvCommand(rest[0], rest[1:]) if rest else None


def pip_install(words: tuple[str, ...]) -> PipInstall | None:
    """The installation that a command is; None for any other command."""
    rest = _after_pip(bare_command(words))
    if not rest or rest[0] != "install":
        return None
    files, projects, packages, resolves = [], [], [], True
    pending = iter(rest[1:])
    for word in pending:
        name, equals, value = word.partition("=")
        if word in ("-r", "--requirement", "--requirements") or name in ("--requirement", "--requirements"):
            files.append(value if equals else next(pending, ""))
        elif word.startswith("-r") and not word.startswith("--"):
            files.append(word[2:])
        elif word in ("-e", "--editable"):
            projects.append(next(pending, ""))
        elif word == "--no-deps":
            resolves = False
        elif word in _VALUED:
            next(pending, "")
        elif word.startswith("-") or word in (">", ">>", "2>&1", "/dev/null") or "$" in word or "://" in word:
            continue
        elif word.startswith((".", "/")) or "/" in word:
            if not word.endswith((".whl", ".tar.gz", ".zip")):
                projects.append(word)
        elif match := _REQUIREMENT.fullmatch(word.partition(";")[0].strip()):
            packages.append((normal_name(match[1]), match[2] or ""))
    return PipInstall(tuple(filter(None, files)), tuple(projects), tuple(packages), resolves)


def _after_pip(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words after the name of pip and its flags; () for another program."""
    match words:
        case (pip, *rest) if _PIP.fullmatch(pip):
            return _without_flags(tuple(rest))
        case (python, "-m", "pip", *rest) if _PYTHON.fullmatch(python):
            return _without_flags(tuple(rest))
        case (uv, *rest) if _UV.fullmatch(uv):
            name, *inner = _without_flags(tuple(rest)) or ("",)
            return _without_flags(tuple(inner)) if name == "pip" else ()
    return ()


def _without_flags(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words from the first one that is no flag and no value of a flag."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _VALUED else 1
    return words[at:]
