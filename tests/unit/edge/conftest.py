"""An interpreter with the converters."""

from pathlib import Path

import pytest

from tests.conversions import conversion_python
from tests.sharing import SharedFolder


@pytest.fixture(scope="session")
def converting(shared: SharedFolder) -> Path:
    """See conversion_python."""
    return conversion_python(shared)
