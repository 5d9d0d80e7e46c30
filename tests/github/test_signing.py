"""The reusable workflows that sign, with a key and without, the latter called by the example."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests import checkout
from tests.github.act import Consumer
from tests.house.files import ROOT
from tests.sharing import SharedFolder
from tests.signers import group_python, make_signers
from tests.sigstores import sigstore
from tests.stand_ins.web import served

pytestmark = pytest.mark.extended

WITH_A_KEY = """
on: workflow_dispatch
permissions: {{}}
jobs:
  call:
    permissions: {{contents: read, packages: write}}
    uses: ACTION/.github/workflows/sign.yml@v1
    with: {given}
    secrets: {{MLFLOW_UV_SIGNING_KEY: "${{{{ secrets.KEY }}}}"}}
"""
EXAMPLE = ROOT / "examples/workflows/call-sign.yml"
WORKFLOW = "org/mlflow-uv-action/.github/workflows/sign-keyless.yml"
RIGHT = "right-of-the-job-to-a-token"


def released(wine: Consumer, server: str) -> None:
    """A version of the wine example whose smoke test passed, in a process."""
    checkout.repository(wine.folder)
    subprocess.run(
        (sys.executable, "-I", "-m", "mlflow_uv", "release", "--engine", "none", "--deadline", "600",
         "--tracking-uri", server),
        cwd=wine.folder, env={**os.environ, "MLFLOW_UV_HOME": str(wine.folder.parent / "released")},
        check=True, capture_output=True,
    )  # fmt: skip


def test_a_version_is_signed_and_verified_by_the_jobs_of_the_workflow(
    wine: Consumer, server: str, actions: tuple[str, ...], shared: SharedFolder, tmp_path: Path
) -> None:
    """
    By the identity that the runner gives to the job that signs, which no other job asks for and no log has.

    Where the project trusts another branch, the job that verifies fails, and says who signed.
    """
    released(wine, server)
    with sigstore(group_python(shared, "signing"), tmp_path / "sigstore") as folder:
        token, asked = (folder / "keyless.token").read_text(), list[str]()

        def identity(method: str, path: str, authorization: str, body: bytes) -> tuple[int, object]:
            del body
            asked.append(f"{method} {parse_qs(urlsplit(path).query)['audience']}")
            return (200, {"value": token}) if authorization == f"Bearer {RIGHT}" else (401, {})

        root = json.dumps((folder / "trusted_root.json").read_text())
        text = EXAMPLE.read_text().replace("org/mlflow-uv-action", "ACTION")
        # The image is in no registry, and the public Sigstore cannot be reached.
        call = text.replace("    with:\n", '    with:\n      registry: ""\n      sigstore: sigstore.json\n')
        settings = f'sigstore = {root}\nrepositories = ["org/wine"]\nworkflows = ["{WORKFLOW}"]\n'
        with served(identity) as url:
            signed, other = (
                wine.run(
                    call,
                    files={"sigstore.json": (folder / "config.json").read_text()},
                    event="workflow_dispatch",
                    options=(
                        *("--var", f"MLFLOW_TRACKING_URI={server}"),
                        *("--var", f'MLFLOW_UV_TRUST={settings}refs = ["{ref}"]\n'),
                        *actions,
                    ),
                    env={
                        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{url}/token?api-version=2.0",
                        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": RIGHT,
                    },
                )
                for ref in ("refs/heads/main", "refs/heads/release")
            )  # fmt: skip

    assert (True, False) == (signed.ok, other.ok), signed.log[-6000:]
    signer = signed.outputs["verify"]["signer"]
    assert signer.startswith(f"https://github.com/{WORKFLOW}@refs/tags/v1 run by https://github.com/org/wine"), signer
    assert "for the ref refs/heads/main, which is not trusted" in other.log
    assert ["GET ['sigstore']"] * 2 == asked
    assert token not in signed.log + other.log


def test_a_version_is_signed_with_a_key_that_the_job_that_verifies_does_not_have(
    wine: Consumer, server: str, actions: tuple[str, ...], shared: SharedFolder
) -> None:
    """
    By the key of a secret, which no log has; where the project trusts another key, the job that verifies fails.
    """
    released(wine, server)
    keys = make_signers(shared)
    secret = keys.text("first.pem")

    signed, other = (
        wine.run(
            WITH_A_KEY.format(
                given=json.dumps({
                    "tracking-uri": server, "version-uri": "models:/wine@candidate", "registry": "",
                    "trust": f"keys = [{json.dumps(keys.text(f'{name}.pub'))}]",
                })
            ),
            event="workflow_dispatch", secrets={"KEY": secret}, options=actions,
        )
        for name in ("first", "second")
    )  # fmt: skip

    assert (True, False) == (signed.ok, other.ok), signed.log[-6000:] + other.log[-2000:]
    assert "success" == signed.results["verify"]
    assert "failure" == other.results["verify"]
    assert signed.outputs["verify"]["signer"]
    assert secret.splitlines()[1] not in signed.log + other.log
