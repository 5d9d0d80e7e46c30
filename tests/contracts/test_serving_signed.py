"""Tests that the server itself refuses a mounted model that is not the one that a trusted key signed."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.core.release.digests import tree_digest
from mlflow_uv.core.signing.statement import statements
from mlflow_uv.tools.system.content import digests_in
from tests.contracts.serving_process import Starter, scripted_model
from tests.sharing import SharedFolder
from tests.signers import make_signers
from tests.unit.core.release.test_record import WHOLE


@pytest.mark.installs
def test_a_swapped_file_of_a_mounted_model_is_refused_before_it_is_loaded(
    start: Starter, shared: SharedFolder, tmp_path: Path
) -> None:
    """
    The model as it was signed is served; with one file exchanged, the process ends with the name of it.
    """
    signers = make_signers(shared)
    model = scripted_model(tmp_path / "model")
    record = replace(WHOLE, model=replace(WHOLE.model, sha256=tree_digest(digests_in(model))))
    bundles = signers.sign(signers.private("first"), model, *statements(record, digests_in(model), ())).bundles
    (tmp_path / "bundles.jsonl").write_text("\n".join(bundles))
    settings = {
        "VERIFY": signers.text("first.pub"),
        "ATTESTATIONS": str(tmp_path / "bundles.jsonl"),
        "PYTHONDONTWRITEBYTECODE": "1",  # as in an image: no file is added to the model
    }

    with start(model, **settings) as served:
        served.ready()
    with start(model, VERIFY=settings["VERIFY"]) as served:
        incomplete = (served.end(), served.last_line())
    script = model / "code" / "scripted_loader.py"
    script.write_text(f"import nowhere\n{script.read_text()}")
    with start(model, **settings) as served:
        swapped = (served.end(), served.last_line())

    assert (2, True) == (incomplete[0], incomplete[1].startswith("ATTESTATIONS is empty"))
    assert (3, True) == (swapped[0], script.name in swapped[1]), swapped
    assert "is not wine version 7 as the key" in swapped[1]
