"""Which tracked files belong to a store."""


def test_each_store_is_found_once(find) -> None:
    """
    Whatever number of files it has; a store inside another one is part of it.
    """
    files = {f"a b/mlruns/0/run{number}/meta.yaml": "x" for number in range(3)}
    files |= {"a b/mlruns/0/mlruns/1/x": "x", "mlflow.db": "x", "-odd/mlartifacts/1/m": "x"}

    found = find("committed-store", files)

    assert ["-odd/mlartifacts", "a b/mlruns", "mlflow.db"] == sorted(what.split("`")[1] for _, _, what in found)


def test_what_is_no_store_is_left_alone(find) -> None:
    """
    Placeholders, code, documentation, pointers, and stores of tests.
    """
    names = ("mlruns/.gitkeep", "mlruns.dvc", "mlruns/README.md", "src/mlruns/code.py", "tests/mlruns/0/meta.yaml")

    assert [] == find("committed-store", dict.fromkeys(names, "x"))
