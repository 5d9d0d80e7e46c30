"""Signs versions of the sample project, trusts keys, and changes what a writer of its store can change."""

import json
from dataclasses import replace
from pathlib import Path

from mlflow_uv.core.release.digests import tree_digest
from mlflow_uv.core.release.record import Record, from_json
from mlflow_uv.tools.system.content import digests_in
from tests.signers import Signers

from .consumer import CommandResult
from .sample_project import SampleProject

VERSION = "models:/wine/1"


def signed(sample: SampleProject, signers: Signers, key: str = "first", *flags: str) -> CommandResult:
    """The version, signed with a key that the job has in its variables."""
    variables = {"MLFLOW_UV_SIGNING_KEY": signers.text(f"{key}.pem")}
    result = sample.run("sign", VERSION, *flags, variables=variables)
    assert result.code == 0, result.stderr
    return result


def trust(signers: Signers, *keys: str, policy: str = "require", more: str = "") -> dict[str, str]:
    """The variable of a job that trusts keys."""
    listed = ", ".join(f'"""{signers.text(f"{key}.pub")}"""' for key in keys)
    return {"MLFLOW_UV_TRUST": f'policy = "{policy}"\nkeys = [{listed}]\n{more}\n'}


def kept(sample: SampleProject, file: str) -> Path:
    """A file in the run of the model's store, beside the record of version 1."""
    (path,) = (sample.consumer.store / "artifacts").glob(f"*/*/artifacts/mlflow-uv/*/wine-*/1/{file}")
    return path


def rewrite(sample: SampleProject) -> None:
    """Change the model, its record and the tags of its version so that they fit each other, as any writer could."""
    model = sample.consumer.model
    (weights,) = model.glob("python_model.pkl")
    weights.write_bytes(weights.read_bytes() + b"\0")
    record = stored_record(sample)
    replace_record(sample, replace(record, model=replace(record.model, sha256=tree_digest(digests_in(model)))))


def stored_record(sample: SampleProject) -> Record:
    """The release record of version 1 in the store."""
    return from_json(json.loads(kept(sample, "record.json").read_text()))


def replace_record(sample: SampleProject, forged: Record) -> None:
    """Put another record in the place of that of version 1, with the tags that fit it."""
    kept(sample, "record.json").write_text(json.dumps(forged.to_json()))
    tags = {"mlflow-uv.model-sha256": forged.model.sha256, "mlflow-uv.record-sha256": forged.sha256}
    sample.consumer.ask_mlflow(
        "\n".join(f"client.set_model_version_tag('wine', '1', {tag!r}, {value!r})" for tag, value in tags.items())
    )
