"""Workspaces as values, for the tests of what is compared with a lock."""

import tomli

from mlflow_uv.core.freshness.declared_requirements import ProjectManifest, Workspace


def workspace_of(text: str) -> Workspace:
    """A project that is a workspace of its own."""
    manifest = ProjectManifest(file="pyproject.toml", folder="/wine", table=tomli.loads(text))
    return Workspace(root=manifest, members=(manifest,), settings=manifest)
