"""Which calls of uv build a source distribution, and what each gets; tests/contracts/test_source_builds.py has uv."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlflow_uv.tools.system.process import Completed
from mlflow_uv.tools.uv.inert_python import REFUSAL
from mlflow_uv.tools.uv.messages import SourceNotBuilt
from mlflow_uv.tools.uv.source_builds import SourceBuilds
from tests.unit.tools.conftest import completed

FLAGS = ("--no-deps",)
PYTHON = Path("environment/bin/python")
OFFLINE = "error: Failed to build `pear==1.0`\n  cause: No solution found when resolving: `press`, `cork>=1`\n"
HINT = "\nhint: Packages were unavailable because the network was disabled.\n"


@dataclass
class FakeUv:
    """Answers the calls in their order, and keeps what each got."""

    answers: list[Completed]
    listed: list[str] = field(default_factory=list)
    flags: list[tuple[str, ...]] = field(default_factory=list)
    variables: list[Mapping[str, str]] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)

    def __call__(
        self,
        requirements: Path,
        flags: tuple[str, ...],
        variables: Mapping[str, str],
        on_line: Callable[[str], None] | None,
    ) -> Completed:
        """See Uv."""
        self.listed.append(requirements.read_text())
        self.flags.append(flags)
        self.variables.append(variables)
        self.shown.append(on_line is not None)
        return self.answers.pop(0)


def builds(folder: Path, uv: FakeUv, **variables: str) -> Completed:
    listed = folder / "requirements.txt"
    listed.write_text("grape==1 \\\n    --hash=a\npear==1 \\\n    --hash=b\nPlum.Jam==1 --hash=c\n")
    known = {"HOME": str(folder / "me"), "UV_INDEX_A_PASSWORD": "secret", **variables}
    return SourceBuilds(run=uv, variables=known, cache=folder / "cache", on_line=print).install(
        listed, frozenset({"pear", "plum-jam"}), PYTHON, FLAGS
    )


def failed(text: str, code: int = 1) -> Completed:
    return completed("", code=code, stderr=text)


DONE = completed("")


def test_what_the_cache_has_is_built_offline_in_one_call(tmp_path: Path) -> None:
    """
    Packages with wheels come before that, as ever; each requirement is a line with its hashes.
    """
    uv = FakeUv([DONE, DONE])

    builds(tmp_path, uv)

    assert ["grape==1      --hash=a\n", "pear==1      --hash=b\nPlum.Jam==1 --hash=c\n"] == uv.listed
    wheels, sources = uv.variables
    assert ("secret", None) == (wheels.get("UV_INDEX_A_PASSWORD"), wheels.get("UV_OFFLINE"))
    assert (None, "1", str(tmp_path / "cache")) == tuple(
        sources.get(name) for name in ("UV_INDEX_A_PASSWORD", "UV_OFFLINE", "UV_CACHE_DIR")
    )
    assert ("--no-binary=pear", "--no-binary=plum-jam") == uv.flags[1][1:3]


def test_what_the_cache_lacks_is_fetched_by_an_interpreter_that_starts_nothing(tmp_path: Path) -> None:
    """
    Each source distribution alone, because a build that is refused ends the downloads of others; then the build.
    """
    refused = failed(f"error: Failed to build `pear==1`\n\n[stderr]\n{REFUSAL}\n")
    uv = FakeUv([DONE, failed(OFFLINE + HINT), refused, refused, failed(OFFLINE + HINT), DONE, DONE])

    done = builds(tmp_path, uv)

    fetched = ["pear==1      --hash=b\n", "Plum.Jam==1 --hash=c\n", "press\ncork>=1\n"]
    assert (0, fetched) == (done.code, [uv.listed[2], uv.listed[3], uv.listed[5]])
    pythons = [flags[flags.index("--python") + 1] for flags in uv.flags]
    assert [True, False, False, True, True] == [python == str(PYTHON) for python in pythons[1:6]]
    assert [True, True, True] == ["UV_INDEX_A_PASSWORD" in uv.variables[at] for at in (2, 3, 5)]
    assert [False, False, False, True] == ["UV_INDEX_A_PASSWORD" in uv.variables[at] for at in (1, 4, 6)] + [
        uv.shown[6]
    ]


@pytest.mark.parametrize(
    ("answers", "code", "calls"),
    [
        ([failed("error: denied", 2)], 2, 1),
        ([DONE, failed("error: Failed to build `pear==1`\n  cause: no cc")], 1, 2),
        ([DONE, failed(OFFLINE + HINT), failed("error: denied", 3)], 3, 3),
    ],
    ids=["a wheel that is denied", "a build that fails", "a source that is denied"],
)
def test_the_first_call_that_fails_is_the_result(
    tmp_path: Path, answers: list[Completed], code: int, calls: int
) -> None:
    """
    What a network would not change is not tried again.
    """
    uv = FakeUv([*answers])

    done = builds(tmp_path, uv)

    assert (code, calls) == (done.code, len(uv.listed))


@pytest.mark.parametrize("name", ["cork @ https://example.invalid/c.whl", "--index-url=https://example.invalid", ""])
def test_only_names_with_versions_are_fetched_for_a_build_backend(tmp_path: Path, name: str) -> None:
    """
    It chooses what it requires, and would choose the address that gets the credentials.
    """
    lacking = failed(f"error: Failed to build `pear==1.0`\n  cause: No solution found when resolving: `{name}`\n{HINT}")
    uv = FakeUv([DONE, lacking, failed(REFUSAL), failed(REFUSAL), lacking])

    with pytest.raises(SourceNotBuilt) as unbuilt:
        builds(tmp_path, uv)

    assert ("pear", []) == (unbuilt.value.package, uv.answers)


def test_the_settings_of_uv_are_those_of_the_user_without_passwords(tmp_path: Path) -> None:
    """
    They may name the index under which the cache has a package.
    """
    settings = tmp_path / "me" / ".config" / "uv" / "uv.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[[index]]\nurl = "https://robot:sec@ret@example.invalid/simple"\n')
    (tmp_path / "me" / ".rustup").mkdir()
    seen: list[str] = []

    class Reading(FakeUv):
        def __call__(
            self, requirements: Path, flags: tuple[str, ...], variables: Mapping[str, str], on_line: object
        ) -> Completed:
            copy = Path(variables["HOME"], ".config", "uv", "uv.toml")
            seen.append(copy.read_text() if variables["HOME"] != str(tmp_path / "me") else "")
            return super().__call__(requirements, flags, variables, None)

    uv = Reading([DONE, DONE])
    builds(tmp_path, uv, UV_INDEX_URL="https://robot:sec@ret@example.invalid/simple")

    assert ["", '[[index]]\nurl = "https://example.invalid/simple"\n'] == seen
    assert ("https://example.invalid/simple", str(tmp_path / "me" / ".rustup")) == (
        uv.variables[1]["UV_INDEX_URL"],
        uv.variables[1]["RUSTUP_HOME"],
    )
