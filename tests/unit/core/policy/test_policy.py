"""The rules of a lock policy: where they are declared, which values they take, and what they mean."""

import re
from pathlib import PurePath
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.report import Finding, Severity
from mlflow_uv.command.step import fields_of
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.policy.policy import RULES, LockPolicy, PolicySource, read_policy
from mlflow_uv.core.policy.rules import address
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


def ruling(*lines: str) -> PolicySource:
    """A manifest's policy; its first line is the fifth of the file."""
    text = HEAD + "".join(f"{line}\n" for line in lines)
    table = tomli.loads(text)["tool"]["mlflow-uv"]["policy"]
    return read_policy(table, text=text, manifest=PurePath("pyproject.toml"), shown="pyproject.toml")


# what may be said


def test_every_rule_is_off_unless_it_is_set() -> None:
    """
    An empty table is no rule at all.
    """
    policy = ruling().policy

    assert (None, None, False, None, (), None, ()) == (
        policy.allowed_indexes, policy.allowed_sources, policy.require_hashes, policy.minimum_uv, policy.excluded,
        policy.maximum_age_days, policy.warn,
    )  # fmt: skip


def test_every_key_is_explained_in_one_sentence() -> None:
    """
    The reference shows it beside the key.
    """
    wrong = [one.kebab for one in fields_of(LockPolicy) if not re.fullmatch(r"[A-Z][^.]*(\.\S[^.]*)*\.", one.doc)]

    assert [] == wrong


def test_a_key_has_the_line_where_it_stands() -> None:
    """
    For findings that are about the manifest.
    """
    found = ruling("", "# a comment", 'excluded = [\n  "a",\n]', 'minimum-uv = "0.9"')

    assert (4, {"excluded": 7, "minimum-uv": 10}) == (found.line, found.lines)


@pytest.mark.parametrize(
    ("line", "what", "why"),
    [
        ("require-hash = true", "does not know `require-hash`", "did you mean `require-hashes`?"),
        ("allowed_sources = []", "does not know `allowed_sources`", "did you mean `allowed-sources`?"),
        ('allowed-sources = ["registri"]', "(line 5 of pyproject.toml) does not know `registri`", "`registry`?"),
        ('allowed-sources = ["virtual"]', "does not know `virtual`", "known are"),
        ("allowed-sources = 3", "`allowed-sources` in [tool.mlflow-uv.policy] (line 5 of", "it is 3"),
        ('warn = ["exclude"]', "`warn` in [tool.mlflow-uv.policy] (line 5 of", "did you mean `excluded`?"),
        ('warn = ["warn"]', "does not know `warn`", "known are"),
        ("require-hashes = 1", "must be true or false", "it is 1"),
        ("maximum-age-days = true", "must be number", "it is True"),
        ("maximum-age-days = -1", "must be number", "it is -1"),
        ("maximum-age-days = 1.5", "must be number", "it is 1.5"),
        ("minimum-uv = 0.9", "must be text", "it is 0.9"),
        ('minimum-uv = ">=0.9"', "is not a version, such as 0.9", ">=0.9"),
        ('minimum-uv = ""', "`minimum-uv` in [tool.mlflow-uv.policy] (line 5 of pyproject.toml) is empty", "off"),
        ('excluded = ["a",\n\n"b =="]', "(line 7 of pyproject.toml) holds 'b =='", "Expected"),
        ('excluded = ["<2"]', "(line 5 of pyproject.toml) holds '<2'", "Expected package name"),
        ('excluded = ["a[b]"]', "holds 'a[b]'", "a name, or a name and a version range"),
        ("excluded = [\"a; os_name == 'nt'\"]", "holds", "a name, or a name and a version range"),
        ('excluded = ["a @ https://h.example/a.whl"]', "holds", "a name, or a name and a version range"),
    ],
)
def test_what_cannot_be_understood_is_refused(line: str, what: str, why: str) -> None:
    """
    A rule that nobody can read does not count as kept: key, line and nearest name are told.
    """
    with pytest.raises(BadInput) as caught:
        ruling(line)

    assert (True, True) == (what in caught.value.what, why in caught.value.why), caught.value


@pytest.mark.parametrize("table", ["strict", 1, True, [], ["excluded"]])
def test_a_policy_is_a_table(table: Any) -> None:
    """
    Anything else is wrong input.
    """
    with pytest.raises(BadInput, match="not a table") as caught:
        read_policy(table, text="", manifest=LOCK, shown="pyproject.toml")

    assert "[tool.mlflow-uv.policy]" == caught.value.fix


def test_a_file_may_be_called_anything() -> None:
    """
    A folder with braces in its name does not break the message.
    """
    with pytest.raises(BadInput) as caught:
        read_policy({"warn": 1}, text="", manifest=LOCK, shown="{0}/{}/pyproject.toml")

    assert "of {0}/{}/pyproject.toml) must be" in caught.value.what


# how indexes compare

HOSTS = st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z]{2,5}){0,2}", fullmatch=True)
PATHS = st.from_regex(r"(/[A-Za-z0-9_.~-]{1,6}){0,3}", fullmatch=True)
USERS = st.from_regex(r"([a-z0-9%$]{1,5}(:[a-z0-9@%]{0,5})?@)?", fullmatch=True)


@given(HOSTS, PATHS, USERS, st.sampled_from(["", "/", "//"]), st.sampled_from(["http", "https"]))
def test_the_ways_to_write_an_index_are_equal(host: str, path: str, user: str, slash: str, scheme: str) -> None:
    """
    Credentials, default port, case of scheme and host, and slashes at the end.
    """
    port = {"http": ":80", "https": ":443"}[scheme]
    plain = f"{scheme}://{host}{path}"

    written = {address(f"{scheme.upper()}://{user}{host.upper()}{port}{path}{slash}"), address(plain + slash)}

    assert {plain} == written


@given(HOSTS, PATHS, HOSTS, PATHS, st.sampled_from([("http", "http"), ("http", "https")]))
def test_different_indexes_stay_different(
    host: str, path: str, other: str, elsewhere: str, schemes: tuple[str, str]
) -> None:
    """
    No two places become one; the path keeps its case.
    """
    one, two = (schemes[0], host, path), (schemes[1], other, elsewhere)

    equal = address("{}://{}{}".format(*one)) == address("{}://{}{}".format(*two))

    assert (one == two) == equal


@given(st.text() | st.text().map("http://{}".format) | st.text(alphabet="[]:/@ht p.").map("http://{}".format))
def test_any_text_is_an_address(text: str) -> None:
    """
    A lock may name anything: it is compared, and nothing is raised.
    """
    found = address(text)

    assert address(found) == found or "@" in found


@pytest.mark.parametrize(("one", "other"), [("../wheels", "../wheels/"), ("../wheels", "./../wheels"), ("a/b", "a//b")])
def test_a_folder_is_the_same_however_it_is_written(one: str, other: str) -> None:
    """
    As paths are.
    """
    found = {address(one), address(other)}

    assert {one} == found


# locks that nobody would make here


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


# age and uv


@pytest.mark.parametrize(
    ("change", "said"),
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
def test_an_age_is_told_as_far_as_it_is_known(change: LastChange, said: tuple[str, Severity] | None) -> None:
    """
    Too old is an error also where only a part of the history is there; not knowing is none.
    """
    findings = list(age_violations(ruling("maximum-age-days = 10"), LOCK, change, now_s=100 * DAY, command="uv lock"))

    assert ([] if said is None else [said]) == [(one.rule, one.severity) for one in findings]


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
