"""Packages that do not install on a target, or not from a wheel, have findings that a user can act on."""

from pathlib import PurePath

import pytest

from mlflow_uv.command.report import Finding, Severity
from mlflow_uv.core.lock.closure import selected_roots
from mlflow_uv.core.lock.install_findings import InstallFindings, needed_by
from mlflow_uv.core.lock.installable import InstallMethod
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.core.lock.placement import Placement, Uncovered, place
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.lock.targets import parse_target
from mlflow_uv.surfaces.cli import _parsed, given_in

INDEX = "https://index.test/simple"
LINUX, ARM = parse_target("linux-x86_64-py3.11"), parse_target("linux-aarch64-py3.11")
HEAD = """\
version = 1
revision = 3
requires-python = ">=3.10, <3.13"
supported-markers = ["sys_platform == 'linux'"]
"""
PURE = 'wheels = [{ url = "https://f.test/x-1-py3-none-any.whl", hash = "sha256:aa" }]'
INTEL = 'wheels = [{ url = "https://f.test/x-1-cp311-cp311-manylinux_2_17_x86_64.whl", hash = "sha256:aa" }]'
SDIST = 'sdist = { url = "https://f.test/x-1.tar.gz", hash = "sha256:aa" }'


def package(name: str, files: str, *, source: str = f'registry = "{INDEX}"', version: str = "1") -> str:
    """A package of a lock."""
    return f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ {source} }}\n{files}\n'


def findings_of(*packages: str) -> tuple[InstallFindings, list[Placement]]:
    """A lock of a project that needs the packages, each of which is placed on both targets."""
    names = [text.split('"')[1] for text in packages]
    needs = ", ".join(f'{{ name = "{name}" }}' for name in names)
    root = f'[[package]]\nname = "wine"\nversion = "0.1"\nsource = {{ virtual = "." }}\ndependencies = [{needs}]\n'
    data = f"{HEAD}\n{''.join(packages)}{root}".encode()
    lock = read_lockfile(data)
    placed: list[Placement] = []
    for target in (LINUX, ARM):
        placements = place(lock, selected_roots(lock, Selection(), name="wine"), target)
        assert not isinstance(placements, Uncovered)
        placed += placements
    return InstallFindings(path=PurePath("uv.lock"), data=data, lock=lock, lock_command="uv lock"), placed


def only(*findings: Finding) -> tuple[str, Severity, int, str, str, str]:
    """The parts of the only finding."""
    (finding,) = findings
    return finding.rule, finding.severity, finding.line, finding.what, finding.why, str(finding.fix)


@pytest.mark.parametrize(
    ("answer", "line", "why", "fix"),
    [
        (
            Uncovered(target=LINUX, key="requires-python", allowed=">=3.12"),
            3,
            "its `requires-python` is >=3.12",
            "change `requires-python`, then `uv lock`",
        ),
        (
            Uncovered(target=ARM, key="supported-markers", allowed="sys_platform == 'win32'"),
            4,
            "its `supported-markers` is sys_platform == 'win32'",
            f'add "{ARM.marker}" to `environments` in [tool.uv], then `uv lock`',
        ),
        (
            Uncovered(target=ARM, key="missing", allowed="nothing"),
            1,
            "its `missing` is nothing",
            f'add "{ARM.marker}" to `environments` in [tool.uv], then `uv lock`',
        ),
    ],
    ids=["requires-python", "supported-markers", "a key that is not there"],
)
def test_a_target_that_the_lock_does_not_cover_is_an_error_at_the_key(
    answer: Uncovered, line: int, why: str, fix: str
) -> None:
    """
    The setting that decides, and its value.
    """
    findings, _ = findings_of(package("oak", PURE))

    found = only(findings.uncovered(answer))

    what = f"the lock does not cover {answer.target}"
    assert ("target-not-covered", Severity.ERROR, line, what, why, fix) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            package("oak", SDIST),
            (
                "target-built",
                Severity.WARNING,
                "`oak` 1 has no wheel for {both}",
                "it would be built from source on the target, which may need a compiler; needed by wine",
                "uv lock --upgrade-package oak, if a newer version has a wheel",
            ),
        ),
        (
            package("oak", f"{SDIST}\n{INTEL}"),
            (
                "target-built",
                Severity.WARNING,
                "`oak` 1 has no wheel for {arm}",
                "it would be built from source on the target, which may need a compiler; needed by wine",
                "uv lock --upgrade-package oak, if a newer version has a wheel",
            ),
        ),
        (
            package("oak", INTEL),
            (
                "target-cannot-install",
                Severity.ERROR,
                "`oak` 1 cannot be installed on {arm}",
                "it has neither a fitting wheel nor a source distribution; needed by wine",
                'required-environments = ["{marker}"] in [tool.uv], then `uv lock`',
            ),
        ),
        (
            package("oak", INTEL, source='url = "https://f.test/x-1-cp311-cp311-manylinux_2_17_x86_64.whl"'),
            (
                "target-cannot-install",
                Severity.ERROR,
                "`oak` 1 cannot be installed on {arm}",
                "it has neither a fitting wheel nor a source distribution; needed by wine",
                "a source of `oak` for this platform, with a marker, in [tool.uv.sources], then `uv lock`",
            ),
        ),
        (
            package("oak", "", source=f'git = "https://git.test/oak?rev=v1#{"0" * 40}"'),
            (
                "target-git",
                Severity.WARNING,
                "`oak` 1 would be fetched from git and built on {both}",
                "this needs git and network access on the target; needed by wine",
                "`uv add oak`, if an index provides it",
            ),
        ),
    ],
    ids=["built", "built on one", "no file", "no file at a URL", "git"],
)
def test_a_package_without_a_wheel_is_one_finding_for_all_its_targets(
    text: str, expected: tuple[str, Severity, str, str, str]
) -> None:
    """
    At the line of the package, with the path that requires it.
    """
    findings, placed = findings_of(text, package("pure", PURE))
    words = {"arm": str(ARM), "both": f"{LINUX}, {ARM}", "marker": ARM.marker}

    found = only(*findings.not_wheels(placed))

    rule, severity, *texts = expected
    assert (rule, severity, 6, *(text.format(**words) for text in texts)) == found


def test_the_worst_packages_come_first() -> None:
    """
    An error before warnings, whatever the order in the lock is.
    """
    findings, placed = findings_of(
        package("a-built", SDIST),
        package("b-git", "", source=f'git = "https://g.test/b#{"0" * 40}"'),
        package("c", INTEL),
    )

    found = [finding.rule for finding in findings.not_wheels(placed)]

    assert ["target-cannot-install", "target-git", "target-built"] == found


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (INDEX, None),
        (
            "https://gpu.test/simple",
            ("target-index", Severity.NOTICE, f"the target needs access to it in addition to {INDEX}"),
        ),
        (
            "https://pypi.corp/simple",
            (
                "target-private",
                Severity.WARNING,
                "its host name belongs to a private network, to which the target must have access",
            ),
        ),
    ],
)
def test_an_index_that_a_target_may_not_reach_is_reported(
    address: str, expected: tuple[str, Severity, str] | None
) -> None:
    """
    Its fix is a flag that names every index, which the command line accepts; then nothing is reported.
    """
    findings, placed = findings_of(
        package("a", PURE), package("b", PURE), package("oak", PURE, source=f'registry = "{address}"')
    )

    found = list(findings.other_origins(placed, reachable=()))

    assert ([] if expected is None else [(*expected, f"oak comes from {address}")]) == [
        (finding.rule, finding.severity, finding.why, finding.what) for finding in found
    ]
    for finding in found:
        command = str(finding.fix).partition(", if")[0].split()
        reachable = str(given_in(_parsed(command[1:]))["reachable-indexes"]).split(",")
        assert [] == list(findings.other_origins(placed, reachable=reachable))


@pytest.mark.parametrize(
    ("reachable", "covered"),
    [
        (INDEX, True),
        ("https://index.test/", True),
        ("index.test", True),
        ("INDEX.test", True),
        ("https://index.test/simpl", False),
        ("test", False),
        ("http://index.test/simple", False),
    ],
)
def test_with_reachable_indexes_every_other_one_is_reported(reachable: str, covered: bool) -> None:
    """
    A host covers all its addresses, an address those below it.
    """
    findings, placed = findings_of(package("oak", PURE))

    found = [
        (finding.rule, finding.severity, finding.why)
        for finding in findings.other_origins(placed, reachable=(reachable,))
    ]

    assert ([] if covered else [("target-unreachable", Severity.WARNING, "it is not in `reachable-indexes`")]) == found


def test_a_public_url_is_reported_only_if_the_reachable_addresses_are_known() -> None:
    """
    It is not an index, which a target might have a mirror of.
    """
    findings, placed = findings_of(package("a", PURE), package("oak", PURE, source='url = "https://f.test/x-1.zip"'))

    found = [
        [finding.what for finding in findings.other_origins(placed, reachable=reachable)]
        for reachable in ((), ("index.test",), ("index.test", "f.test"))
    ]

    assert [[], ["oak comes from https://f.test/x-1.zip"], []] == found


def test_a_folder_of_wheels_is_an_error_whatever_is_reachable() -> None:
    """
    It does not exist where the model is served, so that no flag fixes it.
    """
    findings, placed = findings_of(package("oak", PURE, source='registry = "/wheels"'))

    found = only(*findings.other_origins(placed, reachable=("index.test",)))

    assert (
        "target-folder",
        Severity.ERROR,
        6,
        "oak comes from /wheels",
        "this is a folder of one machine, which does not exist where the model is served",
        "a `[[tool.uv.index]]` that the target can reach, then `uv lock`",
    ) == found


def test_a_local_build_fits_one_kind_of_machine() -> None:
    """
    Its version names the build; other versions have none, and what is built on the target fits it.
    """
    wheel = 'wheels = [{ url = "https://f.test/x-1+cu121-py3-none-any.whl", hash = "sha256:aa" }]'
    findings, placed = findings_of(
        package("oak", wheel, version="1+cu121"), package("pure", PURE), package("built", SDIST, version="1+cu121")
    )

    found = only(*findings.local_builds(placed))

    both, why = f"{LINUX}, {ARM}", "needed by wine"
    assert (
        "target-local-build",
        Severity.NOTICE,
        6,
        "`oak` 1+cu121 is a local build",
        f"`cu121` is a build for one kind of machine, and {both} must be of that kind; it comes from {INDEX}; {why}",
        "if it does not fit: uv lock --upgrade-package oak, without the source that pins it",
    ) == found


@pytest.mark.parametrize(
    ("via", "text"), [(("wine", "grape", "oak"), "wine > grape"), (("oak",), "the selection itself")]
)
def test_the_path_to_a_package_is_named(via: tuple[str, ...], text: str, placement: Placement) -> None:
    """
    Without the package itself.
    """
    found = needed_by(Placement(package=placement.package, target=LINUX, verdict=InstallMethod.WHEEL, via=via))

    assert text == found


@pytest.fixture
def placement() -> Placement:
    """A placed package."""
    _, placed = findings_of(package("oak", PURE))
    return placed[0]
