"""The findings about a lock that breaks the rules of its policy."""

from pathlib import PurePath

import pytest
import tomli

from mlflow_uv.command.report import Finding, Severity
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.lock.toml_lines import key_lines
from mlflow_uv.core.policy.policy import RULES, LockPolicy, read_policy
from mlflow_uv.core.policy.table import PolicySource, PolicyTable
from mlflow_uv.core.policy.violations import (
    PolicyContext,
    ServedUnit,
    age_violations,
    package_violations,
    uv_violations,
)
from mlflow_uv.core.release.commit import History, LastChange

HEAD = '[project]\nname = "wine"\n\n[tool.mlflow-uv.policy]\n'


LOCK = PurePath("uv.lock")


DAY = 86_400


def ruling(*lines: str) -> PolicySource[LockPolicy]:
    """A manifest's policy; its first line is the fifth of the file."""
    text = HEAD + "".join(f"{line}\n" for line in lines)
    table = tomli.loads(text)["tool"]["mlflow-uv"]["policy"]
    manifest = PurePath("pyproject.toml")
    return read_policy(
        PolicyTable(name="policy", value=table, lines=key_lines(text), manifest=manifest, shown="pyproject.toml")
    )


def judged(lock: str, *rules: str, name: str | None = "wine") -> list[Finding]:
    """What is to be said of this text of a lock."""
    unit = ServedUnit(selection=Selection(), name=name)
    case = PolicyContext(path=LOCK, data=lock.encode(), command="uv lock", units=(unit,), whole=True, now_s=NOON)
    return list(package_violations(ruling(*rules), case))


NOON = 1_780_315_200.0  # 2026-06-01T12:00:00Z


WINE = 'version = 1\n[[package]]\nname = "wine"\nsource = {{ virtual = "." }}\ndependencies = [{}]\n'


@pytest.mark.parametrize(
    ("package", "broken"),
    [
        ('source = { registry = "https://i.example" }\nwheels = [{ url = "https://f.example/a.whl", hash = "x" }]', 0),
        ('source = { registry = "https://i.example" }\nwheels = [{ url = "https://f.example/a.whl" }]', 1),
        ('source = { registry = "https://i.example" }\nsdist = { url = "https://f.example/a.tar.gz" }', 1),
        ('source = { registry = "https://i.example" }', 0),
        ('source = { url = "https://f.example/a.whl" }', 1),
        ('source = { url = "https://f.example/a.whl" }\nwheels = [{ url = "https://f.example/a.whl" }]', 1),
        ('source = { path = "a.whl" }\nwheels = [{ filename = "a.whl" }]', 1),
        ('source = { path = "a.whl" }\nwheels = [{ filename = "a.whl", hash = "x" }]', 0),
        ('source = { git = "https://g.example/a#0123" }\nsdist = { url = "https://g.example/a.tar.gz" }', 0),
        ('source = { directory = "a" }', 0),
        ('source = { editable = "a" }', 0),
    ],
)
def test_what_needs_a_hash(package: str, broken: int) -> None:
    """
    Every file: a wheel, a source distribution, one by its URL or path; a commit and a folder have none.
    """
    findings = judged(WINE.format("") + f'[[package]]\nname = "a"\nversion = "1"\n{package}\n', "require-hashes = true")

    assert [("policy-require-hashes", 6)] * broken == [(one.rule, one.line) for one in findings]


OPTIONS = (
    "version = 1\n[options]\n{}\n[[package]]\nname = 'a'\nversion = '1'\nsource = {{ registry = 'https://i.test' }}\n"
)


UPLOADED = "wheels = [{{ url = 'https://f.test/a.whl', upload-time = '{}' }}]\n"


@pytest.mark.parametrize(
    ("options", "time", "late"),
    [
        ('exclude-newer = "2026-05-01T00:00:00Z"', "2026-04-30T23:59:59.999Z", False),
        ('exclude-newer = "2026-05-01T00:00:00Z"', "2026-05-01T00:00:00Z", True),
        ('exclude-newer = "2026-05-01T00:00:00Z"', "", False),
        ("", "2026-05-01T00:00:00Z", False),
        ('exclude-newer = "0001-01-01T00:00:00Z"\nexclude-newer-span = "P7D"', "2026-05-25T11:59:59Z", False),
        ('exclude-newer = "0001-01-01T00:00:00Z"\nexclude-newer-span = "P7D"', "2026-05-25T12:00:01Z", True),
        ('exclude-newer = "0001-01-01T00:00:00Z"\nexclude-newer-span = "P1M"', "2026-05-04T11:00:00Z", False),
        ('exclude-newer = "0001-01-01T00:00:00Z"\nexclude-newer-span = "PT36H"', "2026-05-31T11:00:00Z", True),
        ('exclude-newer = "2026-05-01T00:00:00Z"\nexclude-newer-package = {a = false}', "2026-05-31T00:00:00Z", False),
        ('exclude-newer-package = {a = "2026-05-01T00:00:00Z"}', "2026-05-02T00:00:00Z", True),
        (
            'exclude-newer-package = {a = { timestamp = "0001-01-01T00:00:00Z", span = "P2W" }}',
            "2026-05-19T00:00:00Z",
            True,
        ),
        ('exclude-newer-package = {b = "2026-05-01T00:00:00Z"}', "2026-05-02T00:00:00Z", False),
        ('exclude-newer = "no time"', "2026-05-02T00:00:00Z", False),
    ],
)
def test_a_file_that_is_newer_than_the_lock_takes(options: str, time: str, late: bool) -> None:
    """
    The lock's own `exclude-newer`, a span counted from now, and exceptions for a package; uv calls such a lock fresh.
    """
    lock = OPTIONS.format(options) + UPLOADED.format(time)
    line = 1 + lock.splitlines().index("[[package]]")

    findings = judged(lock, "keep-exclude-newer = true")

    assert [("policy-keep-exclude-newer", line)] * late == [(one.rule, one.line) for one in findings]


@pytest.mark.parametrize(
    ("version", "entry", "refused"),
    [
        ('version = "1.0+cpu"', "a==1.0", True),
        ('version = "2.0rc1"', "a>=1", True),
        ('version = "not a version"', "a>=1", False),
        ('version = "not a version"', "a", True),
        ("", "a>=0", False),
        ("", "a", True),
    ],
)
def test_a_range_bars_versions_and_a_name_everything(version: str, entry: str, refused: bool) -> None:
    """
    Local and pre-release versions count; what has no version is in no range.
    """
    lock = WINE.format("") + f'[[package]]\nname = "a"\n{version}\nsource = {{ editable = "a" }}\n'

    findings = judged(lock, f'excluded = ["{entry}"]')

    assert ["policy-excluded"] * refused == [one.rule for one in findings]


def test_nothing_is_claimed_of_what_needs_a_package() -> None:
    """
    What nothing leads to is told as such.
    """
    lock = WINE.format("") + '[[package]]\nname = "a"\nversion = "1"\nsource = { registry = "x" }\n'

    (finding,) = judged(lock, 'excluded = ["a"]')

    assert "nothing in the lock needs it; `excluded` in [tool.mlflow-uv.policy] has `a`" == finding.why


@pytest.mark.parametrize(
    ("marker", "counts"),
    [
        ("", True),
        ("sys_platform == 'win32'", True),
        ("python_full_version < '2'", True),
        ("'win' in sys_platform and extra != 'extra-4-wine-x'", True),
        ("extra == 'extra-4-wine-x'", False),
        ("(sys_platform == 'linux' or extra == 'extra-4-wine-x') and extra == 'extra-4-wine-y'", False),
        ("sys_platform == 'linux' or extra == 'extra-4-wine-x'", True),
        ("extra == 'project-4-wine'", True),
        ("gibberish extra", True),
    ],
)
def test_a_dependency_counts_where_some_platform_has_it(marker: str, counts: bool) -> None:
    """
    What is not known is taken to hold; whether an extra that conflicts is asked for is known.
    """
    conflicts = 'conflicts = [[{ package = "wine", extra = "x" }, { package = "wine", extra = "y" }]]\n'
    lock = WINE.format(f'{{ name = "a", marker = "{marker}" }}').replace("[[package]]", f"{conflicts}[[package]]")

    findings = judged(
        lock + '[[package]]\nname = "a"\nversion = "1"\nsource = { git = "https://g.example/a#0" }\n',
        'allowed-sources = ["registry"]',
    )

    assert [("policy-allowed-sources", 7)] * counts == [(one.rule, one.line) for one in findings]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (LastChange(history=History.COMMITTED, at_s=0), ("policy-maximum-age-days", Severity.ERROR)),
        (LastChange(history=History.COMMITTED, at_s=90 * DAY), None),
        (LastChange(history=History.COMMITTED, at_s=200 * DAY), None),
        (LastChange(history=History.CUT_OFF, at_s=0), ("policy-maximum-age-days", Severity.ERROR)),
        (LastChange(history=History.CUT_OFF, at_s=90 * DAY), ("policy-age-unknown", Severity.NOTICE)),
        (LastChange(history=History.UNCOMMITTED), None),
        (LastChange(history=History.UNKNOWN, reason="why"), ("policy-age-unknown", Severity.NOTICE)),
    ],
)
def test_an_age_is_told_as_far_as_it_is_known(change: LastChange, finding: tuple[str, Severity] | None) -> None:
    """
    Too old is an error also where only a part of the history is there; not knowing is none.
    """
    findings = list(age_violations(ruling("maximum-age-days = 10"), LOCK, change, now_s=100 * DAY, command="uv lock"))

    assert ([] if finding is None else [finding]) == [(one.rule, one.severity) for one in findings]


@pytest.mark.parametrize(
    ("version", "least", "kept"),
    [("0.9.0", "0.9", True), ("0.10.1", "0.9", True), ("0.8.99", "0.9", False), ("0.9.0rc1", "0.9.0", False)],
)
def test_versions_of_uv_compare_as_versions_do(version: str, least: str, kept: bool) -> None:
    """
    By number, not by text; a candidate of a release is older than the release.
    """
    findings = list(uv_violations(ruling(f'minimum-uv = "{least}"'), version))

    assert ([] if kept else [5]) == [one.line for one in findings]


def test_every_rule_can_only_warn() -> None:
    """
    Whatever can be set can be made a warning.
    """
    listed = ", ".join(f'"{rule}"' for rule in sorted(RULES))
    rules = (
        'excluded = ["wine"]', "require-hashes = true", "allowed-indexes = []", "allowed-sources = []",
        "keep-exclude-newer = true",
    )  # fmt: skip
    lock = WINE.format('{ name = "a" }') + '[[package]]\nname = "a"\nversion = "1"\nsource = { registry = "x" }\n'
    lock += 'sdist = { url = "x", upload-time = "2026-05-02T00:00:00Z" }\n'
    lock += '[options]\nexclude-newer = "2026-05-01T00:00:00Z"\n'
    more = (f"warn = [{listed}]", "maximum-age-days = 0", 'minimum-uv = "9"')
    old = LastChange(history=History.COMMITTED, at_s=0)

    findings = [
        *judged(lock, *rules, *more),
        *age_violations(ruling(*more), LOCK, old, now_s=9 * DAY, command="uv lock"),
        *uv_violations(ruling(*more), "1"),
    ]

    assert {f"policy-{rule}": Severity.WARNING for rule in RULES} == {one.rule: one.severity for one in findings}
