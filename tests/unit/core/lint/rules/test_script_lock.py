"""Which scripts have no lock that fits."""

import pytest

SCRIPT = """# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "{}",
#   "a[b]>=1; os_name == 'nt'",
# ]
# ///
"""


def lock(requirements: str) -> str:
    """The lock of a script."""
    return f'version = 1\nrequires-python = ">=3.11"\n\n[manifest]\nrequirements = [\n    {requirements},\n]\n'


@pytest.mark.parametrize(
    ("needs", "locked", "expected"),
    [
        ("mlflow>=3", None, ["`train.py` uses MLflow and has no lock"]),
        ("requests", None, []),
        ("MLflow >= 3", '{ name = "mlflow", specifier = ">=3" }, { name = "a", extras = ["b"], marker = "x" }', []),
        ("mlflow>=3", '{ name = "mlflow", specifier = ">=2" }, { name = "a" }', ["`train.py.lock` is out of date"]),
        ("mlflow>=3", '{ name = "mlflow", specifier = ">=3" }', ["`train.py.lock` is out of date"]),
        ("mlflow @ git+https://a.test/m", '{ name = "mlflow", git = "https://a.test/m" }, { name = "a" }', []),
    ],
)
def test_a_script_is_compared_with_its_lock(find, needs: str, locked: str | None, expected: list[str]) -> None:
    """
    By names and ranges; a script without MLflow may do without a lock.
    """
    files = {"train.py": SCRIPT.format(needs)} | ({"train.py.lock": lock(locked)} if locked else {})

    assert expected == [what for _, _, what in find("script-lock", files)]


@pytest.mark.parametrize("text", ["# /// script\n", "# /// script\n# dependencies = [[[\n# ///\n", "print(1)\n"])
def test_a_block_that_is_not_one_is_left_alone(find, text: str) -> None:
    """
    uv reports it when the script runs.
    """
    assert [] == find("script-lock", {"train.py": text})


def test_text_that_repeats_a_beginning_is_read_once(find) -> None:
    """
    Neither the script nor its lock makes the time grow with the square of their size.
    """
    files = {
        "a.py": "# /// script\n" * 100_000,
        "train.py": SCRIPT.format("mlflow"),
        "train.py.lock": "[manifest]\n" + "requirements = [\n" * 100_000,
    }

    assert ["`train.py.lock` is out of date"] == [what for _, _, what in find("script-lock", files)]
