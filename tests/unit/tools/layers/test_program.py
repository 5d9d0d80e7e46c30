"""What identifies the code that writes images."""

import re
from pathlib import Path

from mlflow_uv import __version__
from mlflow_uv.tools.layers.program import program_identity


def test_the_identity_names_the_release_and_its_code(root: Path, tmp_path: Path) -> None:
    """
    The same code has the same identity; with another library in the image it has another one.
    """
    lock = (root / "uv.lock").read_text()
    (tmp_path / "uv.lock").write_text(re.sub(r'(name = "prometheus-client"\nversion = ")[^"]+', r"\g<1>0.0.1", lock))

    found = [program_identity(root), program_identity(root), program_identity(tmp_path)]

    assert found[0].startswith(f"{__version__}+")
    assert (found[0], True) == (found[1], found[0] != found[2])
