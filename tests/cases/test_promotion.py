"""From candidate to champion and back: what must hold before an alias moves, and what an audit finds afterwards."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.core.lock.lockfile import read_lockfile
from tests.stand_ins.osv import osv

from .consumer import CommandResult
from .sample_project import SampleProject, error, training

NARROW = 'pd.DataFrame({"x": [1.0, 2.5], "y": [1.0, 2.0]})'


@pytest.fixture(scope="module")
def two(released_sample: SampleProject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleProject]:
    """A consumer with two tested versions; the second refuses what the first accepts."""
    released_sample.restore()
    sample = SampleProject(
        consumer=released_sample.consumer,
        temporary=released_sample.temporary,
        untouched=tmp_path_factory.mktemp("two") / "untouched",
    )
    sample.train_with(training().replace('pd.DataFrame({"x": [1.0, 2.5]})', NARROW))
    result = sample.run("release", "--engine", "none")
    assert result.code == 0, result.stderr
    sample.keep()
    yield sample
    released_sample.restore()


@pytest.fixture
def candidates(two: SampleProject) -> SampleProject:
    """The two versions, as they were after the second release."""
    two.restore()
    return two


def asks(sample: SampleProject, *rules: str) -> None:
    """Let the project ask this of a version."""
    manifest = sample.folder / "pyproject.toml"
    manifest.write_text(manifest.read_text() + "\n[tool.mlflow-uv.promote]\n" + "\n".join(rules) + "\n")
    sample.commit()


def test_the_first_champion_then_the_next_and_back(candidates: SampleProject) -> None:
    """
    Each move is told by both versions and by the audit; a second promotion of the same version changes nothing.
    """
    asks(candidates, "allow-breaking-signature = true")

    first = candidates.run("promote", "--candidate", "1")
    second = candidates.run("promote")
    again = candidates.run("promote")
    audited = candidates.run("audit", "models:/wine@champion")
    back = candidates.run("rollback")
    audited_back = candidates.run("audit", "models:/wine@champion")

    codes = [result.code for result in (first, second, again, audited, back, audited_back)]
    assert [0] * 6 == codes, [result.stderr for result in (first, second, again, audited, back, audited_back)]
    assert (None, "1", "2") == tuple(result.outputs["version-before"] for result in (first, second, again))
    assert ("2", [], "1", []) == tuple(
        result.outputs[part] for result in (audited, audited_back) for part in ("version", "broken")
    )
    assert ("promoted", "replaced") == (candidates.store.tags("1")["state"], candidates.store.tags("2")["state"])
    assert {"candidate": "2", "champion": "1"} == candidates.store.aliases


@pytest.mark.extended
def test_a_release_says_what_changed_since_the_champion(candidates: SampleProject) -> None:
    """
    The candidate takes a column more than the champion: the release says so, and a champion that is gone is no error.
    """
    candidates.consumer.ask_mlflow('client.set_registered_model_alias("wine", "champion", "1")')

    result = candidates.run("release", "--steps", "register")
    alone = candidates.run("release", "--steps", "register", "--champion", "nobody")

    assert (0, 0) == (result.code, alone.code), result.stderr
    assert "  changed:     since champion, version 1: signature; commit " in result.stderr
    assert "input `y` is new and required" in result.stderr
    assert "changed:" not in alone.stderr


@pytest.mark.extended
def test_a_breaking_signature_does_not_pass_unless_it_is_allowed(candidates: SampleProject) -> None:
    """
    The version in use takes rows without `y`; whoever asks it would be refused by the next one.
    """
    first = candidates.run("promote", "--candidate", "1")

    refused = candidates.run("promote")

    assert (0, 1, ["gate-allow-breaking-signature"]) == (first.code, refused.code, refused.rules)
    assert "input `y` is new and required" in refused.stderr
    assert {"candidate": "2", "champion": "1"} == candidates.store.aliases


def test_what_nobody_measured_cannot_pass_a_gate(candidates: SampleProject) -> None:
    """
    A gate on a metric that no evaluation measured does not hold, and says how to measure it.
    """
    conditions = ("minimum-age-hours = 24", 'required-tags = ["reviewed=yes"]', 'allowed-licences = ["BSD-3-Clause"]')
    asks(candidates, 'gates = ["accuracy >= 0.9"]', *conditions)

    result = candidates.run("promote", "--dry-run")

    keys = ["minimum-age-hours", "required-tags", "allowed-licences", "gates"]
    lines = dict.fromkeys(finding["line"] for finding in result.answer["findings"])
    manifest = (candidates.folder / "pyproject.toml").read_text().splitlines()
    assert (1, [f"gate-{key}" for key in keys]) == (result.code, list(dict.fromkeys(result.rules)))
    assert keys == [manifest[line - 1].split(" =")[0] for line in lines]
    assert "mlflow-uv evaluate" == result.answer["findings"][-1]["fix"]
    assert ("licence `MIT` of " in result.stderr, "licence `BSD-3-Clause` of " in result.stderr) == (True, False)


@pytest.mark.extended
def test_licences_are_excepted_as_promote_says(candidates: SampleProject) -> None:
    """
    Each fix, written into the manifest as it stands, ends its finding and keeps the exceptions that were there.

    huey and skops declare no licence, and have the text of one. The packages of other platforms are named, and count
    once the project is served there.
    """
    asks(candidates, 'allowed-licences = ["BSD-3-Clause"]', 'licence-exceptions = ["cork"]')
    manifest = candidates.folder / "pyproject.toml"
    runs: list[CommandResult] = []
    last = '["cork"]'

    for _ in range(3):
        runs.append(candidates.run("promote", "--dry-run"))
        fix, place = runs[-1].answer["findings"][0]["fix"].split(" in [tool.mlflow-uv.promote]")
        assert (", or other packages", 1) == (place, manifest.read_text().count(f"licence-exceptions = {last}"))
        manifest.write_text(manifest.read_text().replace(f"licence-exceptions = {last}", fix))
        candidates.commit()
        last = fix.partition(" = ")[2]
    windows = candidates.run("promote", "--dry-run", "--targets", "windows-x86_64-py3.11")

    findings = [[finding["what"] for finding in run.answer["findings"]] for run in runs]
    assert [findings[0], findings[0][1:], findings[0][2:]] == findings
    assert '["cork", ' == last[:9]
    left_out = [line for line in runs[0].outputs["gates"] if "not examined, because no target" in line]
    assert (1, True) == (len(left_out), "pywin32" in left_out[0]), left_out
    assert [] == [what for what in findings[0] if "unknown licence" in what]
    served = [finding["what"] for finding in windows.answer["findings"] if "unknown licence" in finding["what"]]
    assert (1, True) == (len(served), "pywin32" in served[0]), windows.stderr


def test_a_vulnerable_package_is_not_promoted_until_it_is_accepted(candidates: SampleProject) -> None:
    """
    The printed exception works as it stands; a service that is gone lets nothing pass.
    """
    asks(candidates, "allow-breaking-signature = true", 'refused-vulnerabilities = "high"')
    manifest = candidates.folder / "pyproject.toml"
    packages = read_lockfile((candidates.folder / "uv.lock").read_bytes()).by_name
    version = packages["numpy"][0].version
    known = {"id": "GHSA-1", "package": "numpy", "versions": [version], "fixed": "99"}
    with osv({**known, "database_specific": {"severity": "HIGH"}}) as service:
        argv = ("promote", "--dry-run", "--vulnerability-service", service.url)
        refused = candidates.run(*argv)
        fix, _ = refused.answer["findings"][0]["fix"].split(" in [tool.mlflow-uv.promote]")
        manifest.write_text(f"{manifest.read_text()}{fix}\n")
        candidates.commit()
        accepted = candidates.run(*argv)
    gone = candidates.run(*argv)

    assert ["gate-refused-vulnerabilities"] == refused.rules == gone.rules, refused.stderr + gone.stderr
    assert f"numpy {version} has GHSA-1, high, fixed in 99" in refused.stderr
    assert (0, True) == (accepted.code, "; 1 excepted" in "".join(accepted.outputs["gates"])), accepted.stderr
    assert "the vulnerabilities of the packages are unknown" in gone.stderr


@pytest.mark.extended
def test_a_gate_against_the_champion_is_asked_of_both_on_the_same_rows(candidates: SampleProject) -> None:
    """
    Before the evaluation nobody knows; after it, the numbers of both are told and the alias moves.
    """
    (candidates.folder / "holdout.csv").write_text("x,y,right\n" + "".join(f"{x},0.0,{2 * x}\n" for x in range(40)))
    asks(candidates, 'gates = ["mean_absolute_error <= champion + 0.1"]', "allow-breaking-signature = true")
    flags = ("--data", "holdout.csv", "--target-column", "right", "--model-type", "regressor")

    candidates.consumer.ask_mlflow('client.set_registered_model_alias("wine", "champion", "1")')
    unknown = candidates.run("promote")
    evaluated = candidates.run("evaluate", *flags)
    promoted = candidates.run("promote")

    assert (1, ["gate-gates"]) == (unknown.code, unknown.rules), unknown.stderr
    assert (0, 0) == (evaluated.code, promoted.code), evaluated.stderr + promoted.stderr
    assert "✓ mean_absolute_error 0 <= 0.1 (champion 0 + 0.1): holds" in promoted.outputs["gates"]
    assert {"candidate": "2", "champion": "2", "previous": "1"} == candidates.store.aliases


def test_a_dry_run_says_what_would_be_and_changes_nothing(candidates: SampleProject) -> None:
    """
    Its gates are asked all the same.
    """
    before = (candidates.store.aliases, candidates.store.tags("2"))

    result = candidates.run("promote", "--dry-run")

    assert (0, False, "champion would become wine version 2") == (
        result.code,
        result.outputs["promoted"],
        result.answer["summary"],
    )
    assert before == (candidates.store.aliases, candidates.store.tags("2"))


def test_a_tampered_model_is_neither_promoted_nor_passed_over_by_an_audit(candidates: SampleProject) -> None:
    """
    One byte of a file that anybody with the store may change through the logged model.
    """
    path = candidates.consumer.model / "python_model.pkl"
    path.write_bytes(path.read_bytes() + b" ")

    refused = candidates.run("promote")
    audited = candidates.run("audit", "models:/wine@candidate")

    assert (1, ["gate-chain"]) == (refused.code, refused.rules)
    assert (1, ["model"]) == (audited.code, audited.outputs["broken"])
    assert {"candidate": "2"} == candidates.store.aliases


@pytest.mark.extended
def test_an_alias_that_somebody_moved_by_hand_is_told(candidates: SampleProject) -> None:
    """
    Nothing says who did it, or why.
    """
    candidates.consumer.ask_mlflow('client.set_registered_model_alias("wine", "champion", "1")')

    audited = candidates.run("audit", "models:/wine@champion")

    assert (1, ["alias"]) == (audited.code, audited.outputs["broken"])


@pytest.mark.extended
def test_what_we_moved_ourselves_is_no_surprise(candidates: SampleProject) -> None:
    """
    The aliases of a test, a promotion and what was there before hold; a candidate moved back by hand does not.
    """
    asks(candidates, "allow-breaking-signature = true")
    moved = [candidates.run("promote", "--candidate", number) for number in ("1", "02")]

    audited = [candidates.run("audit", f"models:/wine@{alias}") for alias in ("candidate", "champion", "previous")]
    candidates.consumer.ask_mlflow('client.set_registered_model_alias("wine", "candidate", "1")')
    by_hand = candidates.run("audit", "models:/wine@candidate")

    assert [(0, "1"), (0, "2")] == [(result.code, result.outputs["version"]) for result in moved]
    assert [(0, "2"), (0, "2"), (0, "1")] == [(result.code, result.outputs["version"]) for result in audited]
    assert (1, ["alias"]) == (by_hand.code, by_hand.outputs["broken"])


@pytest.mark.extended
def test_a_second_name_of_the_same_model_takes_nothing_from_the_first(candidates: SampleProject) -> None:
    """
    Each version has a record of its own, and each alias that was ever moved its entry.
    """
    result = candidates.run("release", "--engine", "none", "--model-name", "wine second ü", "--alias", "shadow")

    audited = [candidates.run("audit", f"models:/{one}") for one in ("wine@candidate", "wine second ü@shadow")]

    assert [0, 0, 0] == [one.code for one in (result, *audited)], [one.stderr for one in (result, *audited)]


@pytest.mark.extended
def test_an_edited_record_is_found_out(candidates: SampleProject) -> None:
    """
    The record that the run keeps is no evidence: its digest is a tag of the version.
    """
    (kept,) = candidates.consumer.store.glob(
        f"artifacts/*/*/artifacts/mlflow-uv/{_model(candidates)}/wine-*/2/record.json"
    )
    record = json.loads(kept.read_text())
    record["answers"]["tolerance"] = 0.5
    kept.write_text(json.dumps(record))

    audited = candidates.run("audit", "models:/wine/2")

    assert (1, ["record"]) == (audited.code, audited.outputs["broken"])


@pytest.mark.extended
def test_a_commit_that_the_checkout_lacks_is_fetched_or_told(candidates: SampleProject, tmp_path: Path) -> None:
    """
    A shallow clone asks where it came from; where that does not answer, the commit is not verified.
    """
    clone = tmp_path / "clone"
    candidates.consumer.git("commit", "--quiet", "--allow-empty", "--message", "later")
    candidates.consumer.git("clone", "--quiet", "--depth=1", candidates.folder.as_uri(), str(clone))

    store = ("--tracking-uri", f"sqlite:///{candidates.store.path}")
    fetched = candidates.run("audit", "models:/wine/2", "--project", str(clone), *store)
    candidates.consumer.git("-C", str(clone), "remote", "set-url", "origin", str(tmp_path / "nowhere"))
    alone = candidates.run("audit", "models:/wine/2", "--project", str(clone), *store)

    assert (0, True) == (fetched.code, "commit" in fetched.outputs["holds"]), fetched.stderr
    assert (0, ["commit"], ["link-unverified"]) == (alone.code, alone.outputs["unverified"], alone.rules)


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    ("step", "flags", "code", "what"),
    [
        ("promote", ("--candidate", "nobody"), 2, "`wine` has no alias `nobody`"),
        pytest.param(
            "promote",
            ("--candidate", "9"),
            2,
            "`wine` has no version 9: its versions are 1, 2",
            marks=pytest.mark.extended,
        ),
        ("promote", ("--previous", "candidate"), 2, "`previous` and `candidate` are both `candidate`"),
        ("rollback", ("--previous", "champion"), 2, "`previous` and `champion` are both `champion`"),
        pytest.param("audit", ("models:/wine/99",), 2, "`wine` has no version 99", marks=pytest.mark.extended),
        ("promote", ("--model-name", "beer"), 2, "there is no registered model `beer`"),
        ("audit", ("wine@champion",), 2, "`wine@champion` is not the URI of a version"),
        pytest.param("rollback", (), 2, "`wine` has no alias `champion`", marks=pytest.mark.extended),
    ],
)
def test_what_is_not_there_is_said(
    candidates: SampleProject, step: str, flags: tuple[str, ...], code: int, what: str
) -> None:
    """
    One sentence, and nothing moved.
    """
    result = candidates.run(step, *flags)

    assert code == result.code
    assert what in error(result)[2]
    assert {"candidate": "2"} == candidates.store.aliases


def _model(sample: SampleProject) -> str:
    return str(json.loads(sample.consumer.record.read_text())["model"]["model_id"])
