"""uv's output is a verdict about a lock, or an error in one line."""

from dataclasses import replace

import pytest

from mlflow_uv.command.errors import BadInput, NoSpace, ToolFailed
from mlflow_uv.core.freshness.causes import Cause
from mlflow_uv.tools.system.process import Completed
from mlflow_uv.tools.uv.messages import (
    InterpreterMissing,
    LockState,
    LockVerdict,
    SourceNotBuilt,
    complaint,
    drift_in,
    failed,
    refused_selection,
    unknown,
    unsupported_flag,
    verdict_in,
)

IGNORED = """\
DEBUG Ignoring existing lockfile due to mismatched requirements:
Resolved 1 package in 1ms
Lockfile changes detected
"""
OUTDATED = """\
Resolving despite existing lockfile due to change in `exclude-newer`
error: The lockfile at `uv.lock` needs to be updated, but `--check` was provided.
"""
TOML = """\
error: Failed to parse: `sub/pyproject.toml`
  Caused by: TOML parse error at line 7, column 3
    |
  7 | a = = 1
    |     ^
expected a value
"""


def of_uv(stderr: str, code: int = 2) -> Completed:
    """The end of a uv that printed this."""
    return Completed(code=code, stdout="", stderr=stderr)


@pytest.mark.parametrize(
    ("code", "stderr", "verdict"),
    [
        (0, "Resolved 3 packages in 2ms\n", LockVerdict(state=LockState.FRESH)),
        (0, "Resolved in 2ms\n", LockVerdict(state=LockState.FRESH)),
        (0, "Resolved 3 packages in 2ms\nAdded grape v1\n", LockVerdict(state=LockState.FRESH)),
        (0, "", None),
        (0, "usage: uv\n", None),
        (
            0,
            "Resolved 3 packages in 2ms\nUpdate grape v1 -> v2\nRemove oak v1\n",
            LockVerdict(state=LockState.STALE, cause=Cause.UNKNOWN, changes=("Update grape v1 -> v2", "Remove oak v1")),
        ),
        (
            0,
            IGNORED,
            LockVerdict(state=LockState.STALE, cause=Cause.UNKNOWN, again="mismatched requirements"),
        ),
        (
            1,
            OUTDATED,
            LockVerdict(
                state=LockState.STALE,
                cause=Cause.UNKNOWN,
                again="change in `exclude-newer`",
                complaint="The lockfile at `uv.lock` needs to be updated, but `--check` was provided",
            ),
        ),
        (
            2,
            "error: Unable to find lockfile at `uv.lock`\n",
            LockVerdict(state=LockState.MISSING, cause=Cause.MISSING, complaint="Unable to find lockfile at `uv.lock`"),
        ),
        (
            2,
            TOML,
            LockVerdict(
                state=LockState.UNREADABLE,
                cause=Cause.UNREADABLE,
                complaint="expected a value",
                line=7,
                file="sub/pyproject.toml",
            ),
        ),
        (
            2,
            "error: Workspace member `a` is missing a `pyproject.toml`\n",
            LockVerdict(
                state=LockState.UNREADABLE,
                cause=Cause.MEMBER,
                complaint="Workspace member `a` is missing a `pyproject.toml`",
                file="pyproject.toml",
            ),
        ),
        (
            1,
            "  × No solution found when resolving dependencies\n  ╰─▶ Because oak was not found, nothing works.\n",
            LockVerdict(
                state=LockState.UNSOLVABLE,
                cause=Cause.UNSOLVABLE,
                complaint="Because oak was not found, nothing works.",
                file="pyproject.toml",
            ),
        ),
        (2, "warning: Failed to fetch x\nerror: Required uv version `>=9` does not match `0.9`\n", None),
        (2, "error: something new\n", None),
    ],
)
def test_output_of_uv_is_a_verdict(code: int, stderr: str, verdict: LockVerdict | None) -> None:
    """
    None if it is unknown, or from a program that did nothing; the file and the line are those that uv names.
    """
    found = verdict_in(of_uv(stderr, code))

    assert (None if verdict is None else replace(verdict, words=stderr)) == found


@pytest.mark.parametrize(
    ("stderr", "cause"),
    [
        ("error: No interpreter found for Python 3.9\n  cause: Failed to fetch x", Cause.INTERPRETER),
        (
            "error: Failed to fetch x\n  cause: HTTP status client error (401 Unauthorized) for url (x)",
            Cause.CREDENTIALS,
        ),
        ("  × No solution found\n  hint: Packages were unavailable because the network was disabled", Cause.NETWORK),
        ("error: Git operation failed", Cause.NETWORK),
    ],
)
def test_what_prevents_the_check_is_not_blamed_on_the_lock(stderr: str, cause: Cause) -> None:
    """
    A missing Python, credential or network also leads to messages about a solution.
    """
    found = verdict_in(of_uv(stderr))

    assert found is not None
    assert (LockState.UNVERIFIABLE, cause) == (found.state, found.cause)


def test_unknown_output_is_quoted() -> None:
    """
    The lock is unverifiable then.
    """
    found = unknown(of_uv("error: something new.\n  cause: a reason\n  cause: another\n"))

    assert (LockState.UNVERIFIABLE, Cause.UNKNOWN, "something new: a reason") == (
        found.state,
        found.cause,
        found.complaint,
    )


@pytest.mark.parametrize(
    ("stderr", "text"),
    [
        ("error: a.\n  Caused by: b\n", "a: b"),
        ("  × a\n  ├─▶ b\n  ╰─▶ c\n", "b"),
        ("warning: x\nplain words\n\n", "plain words"),
    ],
)
def test_a_complaint_is_one_line(stderr: str, text: str) -> None:
    """
    The error and its cause, else the last line.
    """
    assert text == complaint(of_uv(stderr))


@pytest.mark.parametrize(
    ("stderr", "what", "why"),
    [
        (
            "error: Group `docs` is not defined in the project's `dependency-groups` table\n",
            "the selection is not in the lock",
            "Group `docs` is not defined in the project's `dependency-groups` table",
        ),
        (
            "error: Extra `a` and group `b` are incompatible with the declared conflicts: {`wine[a]`, `wine:b`}\n",
            "the selection cannot be served together",
            "`wine[a]`, `wine:b` are declared as `conflicts` in [tool.uv]",
        ),
    ],
)
def test_a_selection_that_the_lock_does_not_have_is_an_input(stderr: str, what: str, why: str) -> None:
    """
    The user names another one.
    """
    found = refused_selection(of_uv(stderr))

    assert isinstance(found, BadInput)
    assert (what, why) == (found.what, found.why)


def test_another_failure_is_no_selection() -> None:
    """
    It has an error of its own.
    """
    assert refused_selection(of_uv("error: Failed to fetch x\n")) is None


@pytest.mark.parametrize(
    ("stderr", "text"),
    [
        ("Would install\n + a==1\n - b==2\n ~ c==3\nerror: x\n", "+ a==1, - b==2, ~ c==3"),
        (
            "".join(f" + p{number}==1\n" for number in range(12)),
            f"{', '.join(f'+ p{n}==1' for n in range(10))} and 2 more",
        ),
        ("error: The environment is outdated\n", "The environment is outdated"),
    ],
    ids=["changes", "many", "none"],
)
def test_a_drift_is_a_list_of_packages(stderr: str, text: str) -> None:
    """
    Shortened after ten.
    """
    assert text == drift_in(of_uv(stderr))


@pytest.mark.parametrize(
    ("code", "stderr", "flag"),
    [
        (2, "error: unexpected argument '--no-pythons' found\n", "--no-pythons"),
        (2, "error: unexpected argument 'x' found\n", ""),
        (0, "error: unexpected argument '--a' found\n", ""),
        (2, "error: x\n", ""),
    ],
)
def test_a_flag_that_uv_does_not_know_is_named(code: int, stderr: str, flag: str) -> None:
    """
    Such a uv is too old.
    """
    assert flag == unsupported_flag(of_uv(stderr, code))


def test_a_full_disk_is_an_error_of_its_own() -> None:
    """
    uv names it as the last cause, after the file that it could not write.
    """
    text = "error: Failed to install: x\n  Caused by: failed to write: No space left on device (os error 28)\n"

    full = failed("uv pip install", of_uv(text))

    assert (NoSpace, True) == (type(full), full.why.endswith("No space left on device"))
    assert "UV_CACHE_DIR" in full.fix


def test_a_folder_that_is_read_only_has_the_variables_that_name_another_one() -> None:
    """
    uv names the folder.
    """
    text = "error: failed to create directory `/cache/environments`: Read-only file system (os error 30)\n"

    read_only = failed("uv sync", of_uv(text))

    assert (ToolFailed, True) == (type(read_only), "/cache/environments" in read_only.why)
    assert "set MLFLOW_UV_HOME, UV_CACHE_DIR and TMPDIR to folders that can be written" == read_only.fix


def test_a_failure_quotes_uv_and_a_certificate_has_a_fix() -> None:
    """
    Behind a proxy that opens TLS, uv names only the address.
    """
    plain = failed("uv sync", of_uv("error: a\n  cause: b\n"))
    distrusted = failed(
        "uv sync", of_uv("error: Failed to fetch: `https://x`\n  cause: invalid peer certificate: UnknownIssuer\n")
    )

    assert (ToolFailed, "`uv sync` failed", "a: b", "") == (type(plain), plain.what, plain.why, plain.fix)
    assert (True, "set SSL_CERT_FILE to a file with the certificates of your network") == (
        distrusted.why.endswith("UnknownIssuer: its certificate is not trusted"),
        distrusted.fix,
    )


NO_COMPILER = """\
Resolved 1 package in 8ms
error: Failed to build `pear-c @ https://example.invalid/pear_c-1.0.tar.gz`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta.build_wheel` failed (exit status: 1)

         [stderr]
         warning: build_py: byte-compiling is disabled, skipping.

         error: [Errno 2] No such file or directory: 'cc'

hint: Build failures usually indicate a problem with the package or the build environment
"""
OTHER_FILE = """\
error: Failed to build `pear==1.0`
  cause: Hash mismatch for `pear==1.0`

         Expected:
           sha256:00
"""
DOWNLOAD = "https://github.com/astral-sh/python-build-standalone/releases/download/1/cpython-3.9.tar.gz"


def test_a_source_distribution_that_cannot_be_built_is_named_with_its_last_line() -> None:
    """
    Another file than that of the lock is no such failure: nothing else may build it either.
    """
    unbuilt = failed("uv pip install", of_uv(NO_COMPILER))

    assert isinstance(unbuilt, SourceNotBuilt)
    assert ("pear-c", "ToolFailed") == (unbuilt.package, unbuilt.kind)
    assert unbuilt.why.endswith(": error: [Errno 2] No such file or directory: 'cc'")
    assert ToolFailed is type(failed("uv pip install", of_uv(OTHER_FILE)))
    assert ToolFailed is type(failed("uv pip install", of_uv("error: a\n  cause: Failed to build `x`\n")))


@pytest.mark.parametrize(
    "text",
    [
        "error: No interpreter found for Python 3.9 in managed installations or search path\n",
        "error: No interpreter found at path `/nonexistent/python`\n",
        "error: Failed to inspect Python interpreter from first executable in the search path at `/shims/python3.7`\n",
        f"error: Request failed after 3 retries in 11.6s\n  cause: Failed to download `{DOWNLOAD}`\n",
    ],
    ids=["none", "path", "shim", "download"],
)
def test_a_missing_interpreter_is_an_error_of_its_own(text: str) -> None:
    """
    Also one that could not be downloaded; a package that could not be is another failure.
    """
    assert InterpreterMissing is type(failed("uv venv", of_uv(text)))
    other = "error: Request failed after 3 retries\n  cause: Failed to download `https://index.invalid/plum-1.whl`\n"
    assert ToolFailed is type(failed("uv venv", of_uv(other)))
