"""Which Pythons a lock allows."""

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.lock.lockfile import NotALock
from mlflow_uv.core.lock.python_ranges import allowed_pythons, allows_several, oldest_python


@pytest.mark.parametrize(
    ("requires_python", "several", "oldest"),
    [
        (">=3.11", True, (11, None)),
        ("==3.12.*", False, (12, None)),
        ("==3.11.7", False, (11, 7)),
        (">=3.10.4,<3.11", False, (10, None)),
        ("<3.9.3,>=3.9", False, (9, 2)),
    ],
)
def test_the_oldest_python_of_a_lock(requires_python: str, several: bool, oldest: tuple[int, int | None]) -> None:
    """
    With its newest patch if that is allowed, else with the newest that is.
    """
    found = allows_several(requires_python), oldest_python(requires_python)

    assert (several, oldest) == found


def test_a_lock_for_later_pythons_has_none() -> None:
    """
    The error asks for a target, and a range that is none is no lock.
    """
    with pytest.raises(BadInput) as caught:
        oldest_python(">=3.99")
    with pytest.raises(NotALock):
        allowed_pythons("three")

    assert "--targets TARGET" == caught.value.fix
