"""The findings about packages that a requirements list cannot express for other machines."""

from pathlib import PurePath

import pytest

from mlflow_uv.core.export.portability import LocalPackages, LockSource, local_findings
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.lock.lockfile import read_lockfile


@pytest.mark.parametrize(
    ("path", "address"), [("./core", "core"), (".", "."), ("../near by", "../near by"), ("file:///a%20b", "/a b")]
)
def test_a_local_line_is_named_as_the_lock_names_it(path: str, address: str) -> None:
    """
    uv writes the path of a package, and people know it by its name.
    """
    data = f'version = 1\n[[package]]\nname = "mine"\nsource = {{ directory = "{address}" }}\n'.encode()
    locked = LockSource(path=PurePath("uv.lock"), data=data, lock=read_lockfile(data))

    (finding,) = local_findings(parse_requirements(f"{path}\n"), locked, LocalPackages.REFUSE, fix="do it")

    assert (f"`mine` ({path}) cannot be listed", 2) == (finding.what, finding.line)
