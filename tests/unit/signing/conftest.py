"""The program that signs, with its packages."""

import pytest

from tests.sharing import SharedFolder
from tests.signers import Signers, make_signers


@pytest.fixture(scope="session")
def signers(shared: SharedFolder) -> Signers:
    """See make_signers."""
    return make_signers(shared)
