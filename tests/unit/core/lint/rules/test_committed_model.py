"""Which tracked files are models."""


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
