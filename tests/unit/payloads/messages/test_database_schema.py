"""The schema of MLflow's database, read from its files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.payloads.messages.database_schema import newest_revision

MIGRATIONS = Path("mlflow/store/db_migrations/versions")


def migrations(folder: Path, **revisions: str) -> Path:
    """MLflow's migrations by revision, each with the source text of what it comes after."""
    (folder / MIGRATIONS).mkdir(parents=True)
    for name, before in revisions.items():
        (folder / MIGRATIONS / f"{name}_x.py").write_text(f'"""x"""\n\nrevision = "{name}"\ndown_revision = {before}\n')
    return folder


@pytest.mark.parametrize(
    ("revisions", "newest"),
    [
        ({"a1": "None", "b2": '"a1"', "c3": "'b2'"}, "c3"),
        ({"a1": "None", "b2": '"a1"', "c3": '"a1"'}, "b2,c3"),
        ({"a1": "None", "b2": '"a1"', "c3": '"a1"', "d4": '("b2", "c3")'}, "d4"),
        ({"a1": "None"}, "a1"),
    ],
    ids=["a line", "two heads", "a merge", "one"],
)
def test_the_schema_is_the_revision_that_no_other_comes_after(
    tmp_path: Path, revisions: dict[str, str], newest: str
) -> None:
    """
    Whatever the names: they are random in MLflow.
    """
    found = newest_revision([tmp_path / "empty", migrations(tmp_path, **revisions)])

    assert newest == found


def test_a_revision_may_have_a_type(tmp_path: Path) -> None:
    """
    Newer templates of Alembic declare one.
    """
    (tmp_path / MIGRATIONS).mkdir(parents=True)
    (tmp_path / MIGRATIONS / "a.py").write_text('revision: str = "a"\ndown_revision: Union[str, None] = None\n')
    (tmp_path / MIGRATIONS / "b.py").write_text('revision: str = "b"\ndown_revision: Union[str, None] = "a"\n')

    assert "b" == newest_revision([tmp_path])


def test_the_first_folder_that_has_mlflow_counts(tmp_path: Path) -> None:
    """
    As for an import.
    """
    folders = [migrations(tmp_path / "first", a="None"), migrations(tmp_path / "second", z="None")]

    assert ("a", None) == (newest_revision(folders), newest_revision([tmp_path]))


@given(order=st.permutations(range(8)))
def test_the_order_of_files_is_nothing(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    """
    Whichever file of a line is called first.
    """
    names = [f"r{number}" for number in order]
    before = ["None", *(f'"{name}"' for name in names[:-1])]

    found = newest_revision([migrations(tmp_path_factory.mktemp("m"), **dict(zip(names, before, strict=True)))])

    assert names[-1] == found
