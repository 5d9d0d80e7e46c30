"""Which tracked files are models."""

from mlflow_uv.core.lint.rules.committed_model import RULE
from mlflow_uv.ops.lint.folder import CheckedFolder


def test_the_models_of_a_folder_are_one_finding(find) -> None:
    """
    With the first of them.
    """
    found = find("committed-model", {"m/a.pkl": "x", "m/b.joblib": "x", "c.onnx": "x"})

    assert [
        ("m/a.pkl", 1, "the model `m/a.pkl` and 1 more in its folder are committed"),
        ("c.onnx", 1, "the model `c.onnx` is committed"),
    ] == found


def test_what_is_stored_elsewhere_is_left_alone(find) -> None:
    """
    Pointers of Git LFS, files of a store, empty files, and models of tests.
    """
    files = {"a.pt": "version https://git-lfs.github.com/spec/v1\n", "b.pt": "", "mlruns/1/c.pkl": "x"}

    assert [] == find("committed-model", files | {"tests/d.pkl": "x", "e.pkl.dvc": "x"})


def test_the_fix_removes_no_other_file(tmp_path) -> None:
    """
    Names with characters of pathspecs are literal, and endings are those of models in that folder alone.
    """
    names = (":a.pkl", *(f"m[1]/{number}.pkl.gz" for number in range(6)))
    (tmp_path / "m[1]").mkdir()
    for name in names:
        (tmp_path / name).write_text("x")
    assert RULE.check_names is not None

    fixes = [problem.fix for problem in RULE.check_names(names, CheckedFolder(str(tmp_path)))]

    assert "git rm --cached -- ':(literal):a.pkl'," in fixes[0]
    assert r"git rm --cached -- ':(glob)m\[1]/*.pkl.gz'," in fixes[1]
