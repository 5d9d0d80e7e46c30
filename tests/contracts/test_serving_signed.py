"""Tests that the server itself refuses a mounted model that is not the one that a trusted key signed."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.core.release.digests import tree_digest
from mlflow_uv.core.signing.statement import statements
from mlflow_uv.tools.signing.signer import KeptSignatures, WorkflowIdentity
from mlflow_uv.tools.system.content import digests_in
from tests.contracts.mlflow_interpreter import synced
from tests.contracts.serving_process import Starter, scripted_model
from tests.sharing import SharedFolder
from tests.signers import make_signers
from tests.sigstores import sigstore
from tests.unit.core.release.test_record import WHOLE


@pytest.mark.installs
def test_a_swapped_file_of_a_mounted_model_is_refused_before_it_is_loaded(
    start: Starter, shared: SharedFolder, tmp_path: Path
) -> None:
    """
    The model as it was signed is served under the name that was signed, without bytecode beside its code.

    With one file exchanged, or with another name in the file that nobody signs, the process ends with the name of it.
    """
    signers = make_signers(shared)
    model = scripted_model(tmp_path / "model")
    record = replace(WHOLE, model=replace(WHOLE.model, sha256=tree_digest(digests_in(model))))
    bundles = signers.sign(signers.private("first"), model, *statements(record, digests_in(model), ())).bundles
    (tmp_path / "bundles.jsonl").write_text("\n".join(bundles))
    settings = {
        "VERIFY": signers.text("first.pub"),
        "ATTESTATIONS": str(tmp_path / "bundles.jsonl"),
    }

    with start(model, **settings) as served:
        named = json.loads(served.ready().ask("GET", "/v2/models/wine/versions/7")[2])
    bytecode = [*model.rglob("*.pyc")]
    note = model / "registered_model_meta"
    note.write_text("model_name: payroll\nmodel_version: '99'\n")
    with start(model, **settings) as served:
        misnamed = (served.end(), served.last_line())
    note.write_bytes(b"model_name: caf\xe9\n")
    with start(model, **settings) as served:
        broken = (served.end(), served.last_line())
    note.unlink()
    forged = model / "a\nmlflow: the model is signed."
    forged.touch()
    with start(model, **settings) as served:
        added = (served.end(), served.last_line())
    forged.unlink()
    with start(model, VERIFY=settings["VERIFY"]) as served:
        incomplete = (served.end(), served.last_line())
    script = model / "code" / "scripted_loader.py"
    script.write_text(f"import nowhere\n{script.read_text()}")
    with start(model, **settings) as served:
        swapped = (served.end(), served.last_line())

    assert ("wine", ["7"], []) == (named["name"], named["versions"], bytecode)
    assert (3, True) == (misnamed[0], "signed wine version 7, and not payroll version 99" in misnamed[1]), misnamed
    assert (3, True) == (broken[0], "registered_model_meta cannot be read: it is not UTF-8" in broken[1]), broken
    assert (3, True) == (added[0], "signed it: a\\nmlflow: the model is signed.." in added[1]), added
    assert (2, True) == (incomplete[0], incomplete[1].startswith("ATTESTATIONS is empty"))
    assert (3, True) == (swapped[0], script.name in swapped[1]), swapped
    assert "is not wine version 7 as the key" in swapped[1]


@pytest.mark.installs
@pytest.mark.extended
def test_a_model_that_another_workflow_signed_is_refused(
    start: Starter, root: Path, shared: SharedFolder, tmp_path: Path
) -> None:
    """
    Without a key and without a network, by sigstore from the model's packages; without it nothing is verified.
    """
    signers = make_signers(shared)
    model = scripted_model(tmp_path / "model")
    record = replace(WHOLE, model=replace(WHOLE.model, sha256=tree_digest(digests_in(model))))
    about, nothing = statements(record, digests_in(model), ()), KeptSignatures(bundles=(), model_signature="")
    with sigstore(signers.program.python, tmp_path / "sigstore") as folder:
        for name in ("main", "pull"):
            token, config = (folder / f"{name}.token").read_text(), (folder / "config.json").read_text()
            identity = WorkflowIdentity(shown=name, token=token, sigstore=config)
            signed = signers.program.sign_keyless(about, identity, model, ignored=(), earlier=nothing)
            (tmp_path / f"{name}.jsonl").write_text("\n".join(signed.bundles))
        trusted_root = str(folder / "trusted_root.json")
    policy = {"sigstore": trusted_root, "repositories": ["org/wine"], "refs": ["refs/heads/main"]}
    inline = {**policy, "sigstore": json.loads(Path(trusted_root).read_text())}
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    python = shared.make_once("wine-sigstore", lambda made: _with_sigstore(root, made)) / "bin" / "python"
    having = replace(start, mlflow=replace(start.mlflow, python=python))
    main, pull = (str(tmp_path / f"{name}.jsonl") for name in ("main", "pull"))

    with having(model, VERIFY=str(tmp_path / "policy.json"), ATTESTATIONS=main) as served:
        named = json.loads(served.ready().ask("GET", "/v2/models/wine/versions/7")[2])
    ended = {}
    for case, starter, verify, attestations in (
        ("other ref", having, json.dumps(inline), pull),
        ("other repository", having, json.dumps({**inline, "repositories": ["org/vine"]}), main),
        ("everybody", having, json.dumps({"sigstore": trusted_root}), main),
        ("no sigstore", start, json.dumps(policy), main),
    ):
        with starter(model, VERIFY=verify, ATTESTATIONS=attestations) as served:
            ended[case] = (served.end(), served.last_line())
    script = model / "code" / "scripted_loader.py"
    script.write_text(f"import nowhere\n{script.read_text()}")
    with having(model, VERIFY=json.dumps(inline), ATTESTATIONS=main) as served:
        ended["swapped"] = (served.end(), served.last_line())

    said = {
        "other ref": "for the ref refs/pull/7/merge, which is not trusted",
        "other repository": "whom the project does not trust",
        "everybody": "it trusts everybody",
        "no sigstore": "identities need the package sigstore",
        "swapped": script.name,
    }
    assert ("wine", ["7"]) == (named["name"], named["versions"])
    assert dict.fromkeys(said, 3) == {case: code for case, (code, _) in ended.items()}, ended
    assert [] == [case for case, (_, line) in ended.items() if said[case] not in line], ended


def _with_sigstore(root: Path, folder: Path) -> None:
    """The environment of the wine example with sigstore beside, as a project has that adds it to its lock."""
    python = synced(root / "examples" / "wine", folder)
    lock = (root / "uv.lock").read_text().partition('name = "sigstore"\nversion = "')[2].partition('"')[0]
    subprocess.run(("uv", "pip", "install", "--quiet", "--python", python, f"sigstore=={lock}"), check=True)
