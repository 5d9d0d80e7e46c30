"""An example value for every input of every step, written as an action or a flag takes it."""

from typing import Any

from mlflow_uv.command.step import FieldKind, Step, ValueLayer, fields_of, settle

# Texts that need quoting, look like flags or hold several values, where the field allows them.
EXAMPLES = {
    "alias": "candidate two",
    "answer_timeout": "2.5",
    "artifact": "registry.example/wine:3",
    "attestations": "kept bundles.jsonl",
    "base": "origin/main",
    "base_layout": "base layout/ü",
    "base_image": "docker.io/library/python:3.12-slim",
    "batch_rows": "500",
    "bundle": "edge bundle/ä",
    "cache_from": "type=registry,ref=registry.example/cache",
    "cache_to": "-odd",
    "candidate": "12",
    "cases": "-cases.jsonl",
    "certificate": "release chain.pem",
    "card_folder": "reports/card of wine",
    "champion": "champion ü",
    "check_file": "reports/ml-bom.cdx.json",
    "compression": "zstd",
    "compare_with": "other environment/.venv",
    "champion_file": "champion of wine.json",
    "comparison_file": "lock comparison.json",
    "context": "mein Kontext/a",
    "data": "data/hold out.csv",
    "data_function": "wine.data:hold_out",
    "deadline": "90",
    "described_version": "candidate",
    "description_file": "version of wine.json",
    "description_folder": "versions ü",
    "entry_point": "train",
    "evaluation_file": "evaluation.json",
    "exclude": "old/*,examples",
    "experiment": 'it\'s "so" $HOME `x`',
    "export_timeout": "90.5",
    "extras": "gpu,serve",
    "files": "train.py 'my model.py'",
    "from_model": "m-0123",
    "from_run": "0123456789abcdef",
    "function": "--wine.model:make",
    "groups": "dev",
    "head": "feature/ü",
    "ignore_answers": "$.created,$.choices[*].id",
    "image": "registry.example/wine",
    "input": "tables/new rows.parquet",
    "input_example": "-example.json",
    "junit_file": "reports/ways of serving.xml",
    "keep": "3",
    "layers_from": "registry.example/wine:3",
    "key_columns": "id 'name of customer'",
    "lock_patch": "lock of head.patch",
    "logged_model": "model",
    "markdown_file": "locks.md",
    "max_beyond": "0.02",
    "max_flips": "3",
    "model": "models/saved model",
    "model_name": "wine second ü",
    "not_inputs": "notebooks/**,*.md",
    "oci_layout": "image folder/ä",
    "older_than_days": "30",
    "output": "-scores",
    "package": "wine-server",
    "parameters": "alpha=0.5 'note=two words && more'",
    "params": '{"top_k": 3}',
    "plan_file": "plan of prod.json",
    "parity_tolerance": "0.01",
    "part_rows": "20000",
    "patch": "lock.patch",
    "platforms": "linux/amd64,linux/arm64",
    "preview": "pr-17",
    "previous": "previous",
    "project": "mein Modell",
    "proxy_image": "registry.example/haproxy:3.0",
    "public_key": "release key.pub",
    "pylock_file": "pylock.toml",
    "reachable_indexes": "https://a.example/simple,https://b.example/simple",
    "record": "release.json",
    "register": "wine-onnx second ü",
    "report_file": "reports/wine 4.html",
    "requirements_file": "requirements.txt",
    "rules": "tracking-uri,credentials",
    "sample_rows": "500",
    "sbom_file": "wine.cdx.json",
    "serve_cpus": "1.5",
    "serve_env": "API_URL,REGION",
    "serve_memory": "512",
    "serve_mounts": "/srv/lookup",
    "signer": "/opt/signer --key 'release key'",
    "signing_key": "release key.pem",
    "sigstore": "private sigstore.json",
    "spark_master": "spark://spark.example:7077",
    "steps": "check-lock,export",
    "subject": "models:/wine@champion",
    "target": "linux-x86_64-py3.11",
    "target_column": "quality of wine",
    "targets": "linux-x86_64-py3.11,macos-arm64-py3.12",
    "time_limit": "120.5",
    "timestamp_authority": "https://tsa.example/tsr?a=b",
    "to": "4",
    "tolerance": "0.001",
    "tracking_uri": "https://mlflow.example/?a=b&c=d",
    "train": "python train.py --name 'two words' '$HOME'",
    "train_env": "WANDB_MODE",
    "url": "https://models.example/wine",
    "url_headers": "Authorization=SERVING_AUTH",
    "url_version": "models:/wine@champion",
    "uv": "/opt/uv 2/uv",
    "version_uri": "models:/wine@champion",
    "vulnerability_service": "https://osv.example/api",
    "ways": "uv,locked-serve",
}


def texts_of(step: Step[Any, Any, Any], *, switch: str) -> dict[str, str]:
    """A text for every input of a step, by its kebab-case name; all switches are `switch`."""
    return {
        field.kebab: field.choices[-1]
        if field.choices
        else switch
        if field.kind is FieldKind.SWITCH
        else EXAMPLES[field.name]
        for field in fields_of(step.inputs)
    }


def inputs_of(step: Step[Any, Any, Any], *, switch: str) -> Any:
    """The inputs that those texts are."""
    return settle(step.inputs, (ValueLayer("input `{}`", texts_of(step, switch=switch)),))
