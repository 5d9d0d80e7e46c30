"""Every command and every policy of docs/signing.md is run as it stands, with names of this machine in their place."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.core.security.toml_documents import parse_toml
from mlflow_uv.tools.mlflow.model_server import SERVING
from tests.contracts.serving_process import wait_until
from tests.house.files import ROOT
from tests.ports import free_port
from tests.registries import registry
from tests.signers import Signers
from tests.sigstores import sigstore
from tests.timestamp_authority import timestamp_authority
from tests.unit.signing.test_key_services import kms

from .containers import Container, docker
from .images import remove_image
from .sample_project import SampleProject
from .test_tutorial import blocks

pytestmark = pytest.mark.extended

WORKFLOW = "https://github.com/org/wine/.github/workflows/release.yml@refs/heads/main"
ISSUER = "https://token.actions.githubusercontent.com"
# What each block of commands begins with, in the order in which they are run; each is found once.
ORDER = (
    "openssl ecparam",
    "mlflow-uv build-image --verify-at-start",
    "mlflow-uv sign models:/wine@candidate --signing-key release.pem\nmlflow-uv verify-chain",
    "model_signing verify key",
    "#!/bin/sh",
    "mlflow-uv sign models:/wine@candidate --signer awskms",
    "mlflow-uv verify-chain registry.example/wine:3",
    "docker run -e VERIFY",
    "mlflow-uv sign models:/wine@candidate --signing-key release.pem --certificate",
    "mlflow-uv sign models:/wine@candidate --sigstore public",
    "model_signing verify sigstore",
    "head -n 1",
)


class Page:
    """Runs blocks of the page in the project, with programs and names in place of those that the page has."""

    def __init__(self, sample: SampleProject, signers: Signers, scratch: Path) -> None:
        self.sample, self.scratch = sample, scratch
        programs = scratch / "bin"
        programs.mkdir()
        place = signers.program.python.parent
        for name, command in (
            ("mlflow-uv", f"{sys.executable} -I -m mlflow_uv"),
            ("model_signing", str(place / "model_signing")),
            ("sigstore", f"{place / 'python'} -I -m sigstore"),
        ):
            (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (programs / name).chmod(0o755)
        page = (ROOT / "docs" / "signing.md").read_text()
        self.commands = [body for _, language, body in blocks(page) if language == "sh"]
        self.documents = {body.split()[0]: body for _, language, body in blocks(page) if language == "json"}
        self.variables = {
            **sample.consumer.variables, "PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(sample.temporary),
            "STORE": str(sample.consumer.store), "MODEL": str(sample.consumer.model),
        }  # fmt: skip

    def block(self, beginning: str) -> str:
        """The only block that begins so."""
        (found,) = (body for body in self.commands if body.startswith(beginning))
        return found

    def run(self, beginning: str, *names: tuple[str, str], before: str = "", **variables: str) -> str:
        """What a block prints, with other names; it must not fail."""
        text = self.block(beginning)
        for old, new in names:
            assert old in text, (old, text)
            text = text.replace(old, new)
        return self.shell(f"{before}\n{text}", **variables)

    def shell(self, text: str, **variables: str) -> str:
        """What commands print in the folder of the project."""
        done = subprocess.run(
            ("bash", "-euo", "pipefail", "-c", text), cwd=self.sample.folder, env={**self.variables, **variables},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def first_lines(container: str) -> str:
    """What a server says until it has accepted the model, or ended."""
    started = Container(container)
    wait_until(lambda: any("as the key" in line for line in started.log()) or not started.state["Running"])
    return "\n".join(started.log())


KEPT = 'cp "$STORE"/artifacts/*/*/artifacts/mlflow-uv/*/wine-*/1/signature/'


@pytest.fixture
def page(sample: SampleProject, signers: Signers, tmp_path: Path) -> Page:
    """The page, run in the sample project; what it writes there is not part of the project."""
    (sample.folder / ".git" / "info").mkdir(exist_ok=True)
    ignored = ("*.pem", "*.pub", "*.sig", "*.jsonl", "chain.json", "/downloaded-model/")
    (sample.folder / ".git" / "info" / "exclude").write_text("\n".join(ignored))
    return Page(sample, signers, tmp_path)


@pytest.mark.engine
def test_every_block_of_commands_does_what_the_page_says(
    page: Page, sample: SampleProject, tmp_path: Path, registry_program: str
) -> None:
    """
    Keys are made, an image is built with a policy, signed and started, and each verification succeeds.
    """
    (tmp_path / "registry").mkdir()
    container = f"mlflow-uv-test-{os.urandom(8).hex()}"
    detached = ("docker run", f"docker run --detach --name {container}")
    with registry(tmp_path / "registry", registry_program) as host:
        named = ("registry.example/wine", f"{host}/wine")
        numbered = ("registry.example/wine:3", f"{host}/wine:1")
        page.run("openssl ecparam")
        key = json.dumps((sample.folder / "release.pub").read_text())
        try:
            page.run(
                "mlflow-uv build-image", numbered, named,
                ("docker run", f"{KEPT}attestations.jsonl .\n{detached[1]}"), MLFLOW_UV_TRUST=f"keys = [{key}]",
            )  # fmt: skip
            built = first_lines(container)
            page.run(ORDER[2])
            page.run("model_signing verify key", ("FOLDER", '"$MODEL"'), before=f"{KEPT}model.sig .")
            signer = tmp_path / "vault-signer"
            private = shlex.quote(str(sample.folder / "release.pem"))
            signer.write_text(page.block("#!/bin/sh").replace("/run/keys/release.pem", private))
            signer.chmod(0o755)
            with kms(sample.folder / "release.pem", []) as url:
                page.run(
                    "mlflow-uv sign models:/wine@candidate --signer awskms",
                    ("/usr/local/bin/vault-signer", str(signer)), AWS_ENDPOINT_URL=url, AWS_ACCESS_KEY_ID="alice",
                    AWS_SECRET_ACCESS_KEY="none-is-needed", AWS_DEFAULT_REGION="eu-central-1",
                )  # fmt: skip
            digest = json.loads(sample.consumer.record.read_text())["image"]["digest"]
            page.run(
                "mlflow-uv verify-chain registry.example", numbered,
                ("registry.example/wine@sha256:…", f"{host}/wine@{digest}"),
                before='cp -r "$MODEL" downloaded-model', MLFLOW_UV_TRUST=f"keys = [{key}]",
            )  # fmt: skip
            docker("rm", "--force", container)
            page.run("docker run -e VERIFY", numbered, detached)
            verifying = first_lines(container)
        finally:
            subprocess.run(("docker", "rm", "--force", container), check=False, capture_output=True)
            remove_image(f"{host}/wine:1")

    assert [True, True] == ["is wine version 1, as the key" in log for log in (built, verifying)], f"{built}{verifying}"


def test_the_blocks_with_a_timestamp_and_without_a_key_do_what_the_page_says(
    page: Page, sample: SampleProject, signers: Signers, tmp_path: Path
) -> None:
    """
    By authorities of this machine; other programs verify what was signed, and a server takes the policy of the page.
    """
    for file, source in (("release.pem", "leaf.pem"), ("chain.pem", "leaf.crt")):
        (sample.folder / file).write_text(signers.text(source))
    with timestamp_authority(signers.folder, "clock", tmp_path / "authority") as url:
        page.run(ORDER[8], ("https://tsa.example.com/tsr", url))
    with sigstore(signers.program.python, tmp_path / "sigstore") as folder:
        page.shell(f"{KEPT}attestations.jsonl before.jsonl")
        token = (folder / "main.token").read_text()
        page.run(ORDER[9], ("public", str(folder / "config.json")), MLFLOW_UV_IDENTITY_TOKEN=token)
        page.shell(f"{KEPT}attestations.jsonl all.jsonl; grep -vxFf before.jsonl all.jsonl >attestations.jsonl")
        identity = (("WORKFLOW@REF", WORKFLOW), ("ISSUER", ISSUER))
        page.run(
            "model_signing verify sigstore", *identity, ("FOLDER", '"$MODEL"'),
            ("model_signing verify sigstore", f"model_signing verify sigstore --trust_config '{folder}/config.json'"),
            before=f"{KEPT}model.sig .",
        )  # fmt: skip
        digest = json.loads(sample.consumer.record.read_text())["model"]["sha256"]
        page.run(
            "head -n 1", *identity, ("sigstore verify", f"sigstore --trust-config '{folder}/config.json' verify"),
            ("sha256:DIGEST", f"sha256:{digest}"),
        )  # fmt: skip
        _policy_of_the_page(page, signers, folder)


def _policy_of_the_page(page: Page, signers: Signers, folder: Path) -> None:
    """A server takes the policy of the page, in the variable, and refuses another branch."""
    (policy,) = page.documents.values()
    root = str(folder / "trusted_root.json")
    assert "/etc/sigstore/trusted_root.json" in policy
    inline = policy.replace("/etc/sigstore/trusted_root.json", root)
    ended = {}
    for name, text in (("page", inline), ("other", inline.replace("refs/heads/main", "refs/heads/other"))):
        variables = {
            "PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(free_port()), "VERIFY": text,
            "MLFLOW_UV_MODEL": page.variables["MODEL"], "ATTESTATIONS": str(page.sample.folder / "attestations.jsonl"),
        }  # fmt: skip
        command = (str(signers.program.python), "-I", str(SERVING))  # has sigstore, and no MLflow to load a model with
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        ended[name] = done.stdout + done.stderr

    assert "is wine version 1, as https://github.com/org/wine/" in ended["page"]
    assert ("which is not trusted" in ended["other"], "is wine version 1" in ended["other"]) == (True, False), ended


def test_every_block_is_run_and_every_policy_is_read(sample: SampleProject, signers: Signers, tmp_path: Path) -> None:
    """
    A block that is added to the page is missed here; keys and files of the policies exist.
    """
    page = Page(sample, signers, tmp_path)
    text = (ROOT / "docs" / "signing.md").read_text()
    policies = [body for _, language, body in blocks(text) if language == "toml"]
    manifest = sample.folder / "pyproject.toml"
    before = manifest.read_text()
    (sample.folder / "keys").mkdir()
    files = {"release-2026.pub": "first.pub", "authority.crt": "authority.crt", "tsa-root.crt": "clock-root.crt"}
    for name, source in files.items():
        (sample.folder / "keys" / name).write_text(signers.text(source))
    names = {"<id of a key>": "0" * 64, "<digest>": "1" * 64}

    read = []
    for policy in policies:
        table = policy
        for old, new in names.items():
            table = table.replace(old, new)
        parse_toml(table.encode(), limit=1 << 16)
        heading = "" if "[tool.mlflow-uv.trust]" in table else "[tool.mlflow-uv.trust]\n"
        manifest.write_text(f"{before}\n{heading}{table}")
        read.append(sample.run("audit", "models:/wine/1").code)

    assert sorted(ORDER) == sorted(next((one for one in ORDER if body.startswith(one)), body) for body in page.commands)
    assert ([1] * len(policies), 3) == (read, len(policies))
