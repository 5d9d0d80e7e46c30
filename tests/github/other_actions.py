"""Stand-ins for the actions of others, which act would download: they copy folders, and log in."""

import json
import re
from pathlib import Path

from tests import checkout
from tests.house.files import ROOT

STAND_IN = """
name: {name}
description: Copies a folder, where the real one goes through a server of GitHub's
inputs:
  name: {{required: true, description: which}}
  path: {{required: true, description: where}}
  overwrite: {{required: false, description: whether it may be there}}
  run-id: {{required: false, description: of which run}}
  github-token: {{required: false, description: who asks}}
runs:
  using: composite
  steps:
    - shell: bash
      run: {run}
      env:
        STORE: {store}/${{{{ inputs.name }}}}
        HERE: ${{{{ inputs.path }}}}
"""
LOGGING_IN = """
name: Log in
description: Logs the engine's client in to a registry, as the real one does
inputs:
  registry: {required: true, description: where}
  username: {required: true, description: who}
  password: {required: true, description: by which word}
runs:
  using: composite
  steps:
    - shell: bash
      run: docker login --username "$USERNAME" --password-stdin "$REGISTRY" <<<"$PASSWORD"
      env:
        REGISTRY: ${{ inputs.registry }}
        USERNAME: ${{ inputs.username }}
        PASSWORD: ${{ inputs.password }}
"""
CACHING = """
name: Cache
description: Keeps nothing, as if no key was known
inputs:
  path: {required: true, description: what}
  key: {required: true, description: by which name}
  restore-keys: {required: false, description: other names}
outputs:
  cache-hit: {description: whether there was one, value: ""}
  cache-primary-key: {description: the name, value: "${{ inputs.key }}"}
runs:
  using: composite
  steps:
    - shell: bash
      run: "true"
"""
COMMANDS = {
    "actions/upload-artifact": 'mkdir -p "$STORE" && cp -a "$HERE" "$STORE"',
    "actions/download-artifact": 'mkdir -p "$HERE" && cp -a "$STORE/." "$HERE"',
}


def pins() -> dict[str, str]:
    """The actions of others that our workflows use, each with its commit."""
    folders = (".github/*", "examples/*")
    files = [path for folder in folders for path in sorted(ROOT.glob(f"{folder}/*.yml"))]
    uses = [
        found for path in files for found in re.findall(r"uses: ([\w-]+/[\w./-]+)@([0-9a-f]{40})", path.read_text())
    ]
    assert len(set(uses)) == len(dict(uses)), "an action is pinned to two commits"
    return dict(uses)


def stand_ins(folder: Path) -> tuple[str, ...]:
    """Options of act with which it finds stand-ins; artifacts are in the folder `artifacts`."""
    options: list[str] = []
    for name, commit in pins().items():
        if name not in {*COMMANDS, "docker/login-action"}:
            continue
        place = folder / name.replace("/", "-")
        place.mkdir()
        run = COMMANDS.get(name)
        text = STAND_IN.format(name=name, run=json.dumps(run), store=folder / "artifacts") if run else LOGGING_IN
        (place / "action.yml").write_text(text)
        checkout.repository(place)
        options += ["--local-repository", f"{name}@{commit}={place}"]
    place = folder / "actions-cache"
    for name in ("restore", "save"):
        (place / name).mkdir(parents=True)
        (place / name / "action.yml").write_text(CACHING)
    checkout.repository(place)
    options += ["--local-repository", f"actions/cache@{pins()['actions/cache/restore']}={place}"]
    return tuple(options)
