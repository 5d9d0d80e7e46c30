"""What verify-chain refuses before it verifies."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.command.settings import KEYS
from mlflow_uv.command.step import fields_of
from mlflow_uv.steps.verify_chain import Inputs, run
from mlflow_uv.tools.toolbox import Tools

KEY = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
FOLDER, BUNDLES = Path("model"), Path("b.jsonl")


def tools(folder: Path) -> Tools:
    """A host with a folder of a model, and a file with a public key."""
    (folder / FOLDER).mkdir()
    (folder / "release.pub").write_text(KEY)
    return cast("Tools", SimpleNamespace(host=Host.of({}, folder=folder, python=Path(sys.executable))))


def test_without_trust_nothing_is_verified(tmp_path: Path) -> None:
    """
    A signature of anybody would be valid.
    """
    with pytest.raises(BadInput, match="nobody is trusted to sign") as raised:
        run(Inputs(artifact="models:/wine/1", project=tmp_path), tools(tmp_path))

    assert ("there are no trust settings", "--public-key FILE") == (raised.value.why, raised.value.fix)


@pytest.mark.parametrize(
    ("artifact", "attestations", "what"),
    [
        ("models:/wine/1", BUNDLES, "`attestations` is not for a registered version"),
        ("model", None, "`model` is a folder, and no attestations are given"),
        ("no image", None, "`no image` cannot be verified"),
        ("--privileged", BUNDLES, "`--privileged` cannot be verified"),
    ],
)
def test_what_cannot_be_verified_is_named(tmp_path: Path, artifact: str, attestations: Path | None, what: str) -> None:
    """
    With the input that is missing or too much.
    """
    inputs = Inputs(artifact=artifact, attestations=attestations, public_key=Path("release.pub"), project=tmp_path)

    with pytest.raises(BadInput) as raised:
        run(inputs, tools(tmp_path))

    assert what == raised.value.what


def test_a_checkout_names_neither_the_key_nor_the_attestations() -> None:
    """
    Its own table is the only place in it that says whom it trusts.
    """
    ours = {field.kebab for field in fields_of(Inputs)} & {"artifact", "public-key", "attestations"}

    assert (3, set()) == (len(ours), ours & KEYS)
