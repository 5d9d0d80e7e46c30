# Rendered by `bin/mlflow-uv render` from the steps in src/mlflow_uv: edit those.
"""Every key that `[tool.mlflow-uv]` may hold."""

KEYS = frozenset(
    {
        "alias",
        "alone",
        "base-image",
        "deadline",
        "embedded",
        "entry-point",
        "exclude",
        "experiment",
        "extras",
        "groups",
        "hashes",
        "image",
        "local-packages",
        "logged-model",
        "model",
        "model-name",
        "offline",
        "package",
        "policy",
        "pylock-file",
        "reachable-indexes",
        "requirements",
        "requirements-file",
        "respect-env",
        "sbom-file",
        "serving",
        "steps",
        "target",
        "targets",
        "tolerance",
        "tracking-uri",
        "train",
    }
)
