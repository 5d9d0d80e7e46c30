"""What a user writes wrongly ends with 2, one sentence, and nothing else."""

import pytest

from .sample_project import SampleProject, error

BAD_INPUT = 2


@pytest.mark.core_variants(5)
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("build-image", "--engine", "boat"), "'boat'"),
        (("smoke-test", "--deadline", "soon"), "--deadline must be a number of at least 0"),
        (("smoke-test", "--deadline=-1"), "--deadline must be a number of at least 0"),
        (("smoke-test", "--tolerance", "1"), "--tolerance must be a number of at least 0 and below 1"),
        (("smoke-test", "--alias", "team/candidate"), "--alias is not a name MLflow accepts"),
        (("register", "--model-name", "a/b"), "--model-name is not a name MLflow accepts"),
        (("build-image", "--base-image", "--privileged"), "--base-image"),
        (("build-image", "--image", "-v/:/host"), "--image"),
        (("log-model", "--train", "python 'train.py"), "--train is not a command line"),
        (("release", "--steps", "foo"), "`foo` is not a step of a release: its steps are check-lock, "),
        (("release", "--no-such-flag"), "--no-such-flag"),
        (("log-model", "--extras", "nothing"), "the selection is not in the lock"),
        (("log-model", "--tracking-uri", "tracking"), "`tracking` is not a tracking URI"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_word_is_named(sample: SampleProject, words: tuple[str, ...], says: str) -> None:
    """
    The flag and what it cannot be are in the message.
    """
    result = sample.run(*words)

    code, kind, sentence, _ = error(result)
    assert (BAD_INPUT, "BadInput") == (code, kind)
    assert says in sentence


@pytest.mark.core_variants(4)
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('trian = "python train.py"', "did you mean `train`?"),
        ("extras = 3", "`extras` in [tool.mlflow-uv] must be a list of names"),
        ('retrain = "yes"', "does not know `retrain`"),
        ('embedded = "yes"', "`embedded` in [tool.mlflow-uv] must be true or false"),
        ("deadline = []", "`deadline` in [tool.mlflow-uv] must be a number of at least 0"),
        ('requirements = "guess"', "must be one of lock, verify, infer"),
        ('alias = "a/b"', "`alias` in [tool.mlflow-uv] is not a name MLflow accepts"),
        ('tracking-uri = "http://me:s3cr3t@127.0.0.1"', "`tracking-uri` contains credentials"),
    ],
)
def test_a_wrong_setting_is_named(sample: SampleProject, line: str, says: str) -> None:
    """
    A key that nobody knows, or a value that does not fit, is found before anything happens.
    """
    sample.consumer.edit(sample.folder / "pyproject.toml", "[tool.mlflow-uv]\n", f"[tool.mlflow-uv]\n{line}\n")

    result = sample.run("release")

    code, kind, sentence, _ = error(result)
    assert (BAD_INPUT, "BadInput") == (code, kind)
    assert says in sentence
    assert "s3cr3t" not in result.stdout + result.stderr


@pytest.mark.parametrize("table", ["[tool]\nmlflow-uv = true\n", "[[tool.mlflow-uv]]\n"])
def test_settings_that_are_no_table_are_refused(sample: SampleProject, table: str) -> None:
    """
    TOML knows more than tables.
    """
    manifest = sample.folder / "pyproject.toml"
    manifest.write_text(manifest.read_text().split("[tool.mlflow-uv]")[0] + table)

    result = sample.run("release")

    assert (BAD_INPUT, "BadInput", "[tool.mlflow-uv]") == (result.code, error(result)[1], error(result)[3])


@pytest.mark.core_variants(4)
@pytest.mark.parametrize("text", ["tool = 1\n", "project = 1\n", "[tool]\nuv = 1\n", "[project]\nname = 1\n"])
@pytest.mark.parametrize("step", ["check-lock", "log-model", "release"])
def test_a_manifest_of_another_shape_is_no_crash(sample: SampleProject, text: str, step: str) -> None:
    """
    What is TOML and no project has a code of its own, and no traceback.
    """
    (sample.folder / "pyproject.toml").write_text(text)

    result = sample.run(step)

    assert result.code > 0


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "[]",
        '{"schema": 99}',
        '{"schema": 1}',
        '{"schema": 1, "release_key": "x", "commit": {"sha": 3}}',
        "",
    ],
)
def test_a_file_that_is_no_record_is_refused(sample: SampleProject, text: str) -> None:
    """
    What is not JSON, of another schema or not whole is no release record.
    """
    record = sample.temporary / "record.json"
    record.write_text(text)

    result = sample.run("register", "--record", str(record))

    code, kind, sentence, fix = error(result)
    assert (BAD_INPUT, "BadInput", f"mlflow-uv release --record {record}") == (code, kind, fix)
    assert "is not a release record" in sentence


def test_a_record_that_is_not_there_is_told_who_makes_it(sample: SampleProject) -> None:
    """
    The first step of a chain names the step before it.
    """
    result = sample.run("register", "--record", "nowhere.json")

    code, _, sentence, fix = error(result)
    assert BAD_INPUT == code
    assert "there is no release record" in sentence
    assert "log-model" in fix
