"""Tests where a private key is read from."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from mlflow_uv.ops.signing.signing import signing_key
from mlflow_uv.tools.toolbox import Tools

PEM = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"
CHAIN = "-----BEGIN CERTIFICATE-----\nCCCC\n-----END CERTIFICATE-----\n"


def test_a_file_counts_before_the_variable(tmp_path: Path) -> None:
    """
    The certificates are read beside either; no representation has the key.
    """
    (tmp_path / "release.pem").write_text(PEM.format("FILE"))
    (tmp_path / "chain.pem").write_text(CHAIN)
    variables = {"MLFLOW_UV_SIGNING_KEY": PEM.format("VARIABLE")}
    tools = cast("Tools", SimpleNamespace(host=SimpleNamespace(folder=tmp_path, variables=variables)))

    of_file = signing_key(Path("release.pem"), Path("chain.pem"), tools)
    of_variable = signing_key(None, None, tools)

    assert (PEM.format("FILE"), CHAIN, "`release.pem`") == (of_file.pem, of_file.certificates, of_file.shown)
    assert (PEM.format("VARIABLE"), "", "MLFLOW_UV_SIGNING_KEY") == (
        of_variable.pem, of_variable.certificates, of_variable.shown,
    )  # fmt: skip
    assert "BEGIN PRIVATE" not in repr((of_file, of_variable))
