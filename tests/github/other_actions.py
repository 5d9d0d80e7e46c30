"""Stand-ins for the actions of others, which act would download: they copy folders, and log in."""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path

from tests import checkout
from tests.house.files import ROOT

STAND_IN = """
name: {name}
description: Copies a folder, where the real one goes through a server of GitHub's
inputs:
  name: {{required: false, description: which}}
  pattern: {{required: false, description: "which, each in a folder of its own"}}
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
        PATTERN: {store}/${{{{ inputs.pattern }}}}
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
description: Keeps folders of the home in an archive for each key
inputs:
  path: {{required: true, description: what}}
  key: {{required: true, description: by which name}}
  restore-keys: {{required: false, description: other names}}
outputs:
  cache-hit: {{description: whether there was one, value: "${{{{ steps.run.outputs.hit }}}}"}}
  cache-primary-key: {{description: the name, value: "${{{{ inputs.key }}}}"}}
runs:
  using: composite
  steps:
    - id: run
      shell: bash
      run: {run}
      env:
        STORE: {store}
        KEY: ${{{{ inputs.key }}}}
        HERE: ${{{{ inputs.path }}}}
"""
# Whatever it sets up, PATH has programs of the job alone: here uv, in a folder that sudo does not know.
CHECKING_OUT = """name: checkout
description: Checks a branch out, of a repository on this machine
inputs:
  ref: {{description: branch, required: true}}
  fetch-depth: {{description: number of commits, required: true}}
  persist-credentials: {{description: whether a token stays, required: true}}
runs:
  using: composite
  steps:
    - shell: bash
      run: |
        test "${{{{ inputs.fetch-depth }}}} ${{{{ inputs.persist-credentials }}}}" = "0 false"
        git init --quiet .
        git fetch --quiet --tags "{source}" '+refs/heads/*:refs/remotes/origin/*'
        git checkout --quiet -B "${{{{ inputs.ref }}}}" "origin/${{{{ inputs.ref }}}}"
"""
SETTING_PYTHON_UP = """
name: Set up Python
description: Does nothing, where the real one puts a Python on PATH
inputs:
  python-version: {required: true, description: which}
runs:
  using: composite
  steps:
    - shell: bash
      run: "true"
"""
ATTESTING = """
name: Attest
description: Writes down the digests of files, where the real one has them signed
inputs:
  subject-path: {{required: true, description: which}}
runs:
  using: composite
  steps:
    - shell: bash
      run: sha256sum $FILES >>{file}
      env:
        FILES: ${{{{ inputs.subject-path }}}}
"""
# As the real one, it refuses a folder that is not there, and links.
KEEPING_PAGES = """
name: Keep pages
description: Copies a folder, where the real one makes an artifact of it
inputs:
  path: {{required: true, description: which}}
runs:
  using: composite
  steps:
    - shell: bash
      run: test -z "$(find "$HERE" -type l)" && rm -rf {kept} && cp -a "$HERE" {kept}
      env:
        HERE: ${{{{ inputs.path }}}}
"""
DEPLOYING = """
name: Deploy pages
description: Copies a folder, where the real one asks GitHub to serve the artifact
outputs:
  page_url: {{description: where, value: "${{{{ steps.deploy.outputs.page_url }}}}"}}
runs:
  using: composite
  steps:
    - id: deploy
      shell: bash
      run: rm -rf {deployed} && cp -a {kept} {deployed} && echo page_url=https://pages.test/ >>"$GITHUB_OUTPUT"
"""
# What the actions of clouds are given, what they do with it, and what they hand on. The login is that of a registry.
CLOUD_VARIABLES = {
    "AWS_ROLE": "arn:aws:iam::123456789012:role/release",
    "AWS_REGION": "eu-central-1",
    "GOOGLE_PROVIDER": "projects/1/locations/global/workloadIdentityPools/github/providers/wine",
    "GOOGLE_SERVICE_ACCOUNT": "release@wine.iam.gserviceaccount.com",
    "GOOGLE_PROJECT": "wine",
    "AZURE_CLIENT_ID": "client",
    "AZURE_TENANT_ID": "tenant",
    "AZURE_SUBSCRIPTION_ID": "subscription",
    "AZURE_REGISTRY": "corked",
}
LOG_IN = 'docker login --username {user} --password-stdin {host} <<<"{password}"'
CLOUD_ACTIONS = {
    "aws-actions/configure-aws-credentials": (
        {"role-to-assume": "AWS_ROLE", "aws-region": "AWS_REGION"},
        'echo AWS_SESSION_TOKEN=made-up >>"$GITHUB_ENV"',
        "",
    ),
    "aws-actions/amazon-ecr-login": (
        {},
        'test "$AWS_SESSION_TOKEN" = made-up\n'
        + LOG_IN.replace("{user}", "AWS")
        + '\necho registry={host}/aws >>"$GITHUB_OUTPUT"',
        "registry",
    ),
    "google-github-actions/auth": (
        {
            "workload_identity_provider": "GOOGLE_PROVIDER",
            "service_account": "GOOGLE_SERVICE_ACCOUNT",
            "token_format": "access_token",
            "create_credentials_file": "false",
        },
        'echo "::add-mask::{password}"\necho access_token={password} >>"$GITHUB_OUTPUT"',
        "access_token",
    ),
    "azure/login": (
        {"client-id": "AZURE_CLIENT_ID", "tenant-id": "AZURE_TENANT_ID", "subscription-id": "AZURE_SUBSCRIPTION_ID"},
        'mkdir -p "$HOME/.azure" && touch "$HOME/.azure/logged-in"',
        "",
    ),
}
# Azure's command line, which its recipe calls.
AZ = """#!/bin/bash -e
test "$*" = "acr login --name corked" && test -f "$HOME/.azure/logged-in"
""" + LOG_IN.replace("{user}", "alice")
# Our keys depend on the folder of the action, which is a new one in each run of act: that part is left out.
KNOWN_AS = 'file="$STORE/$(sed -E "s/-[0-9a-f]{40}-/-/" <<<"$KEY").tar"'
# Without a store: as if no key was known, and nothing is kept.
CACHE_COMMANDS = {
    "restore": f'{KNOWN_AS}\ntest -f "$file" || exit 0\ntar -xf "$file" -C "$HOME"\necho hit=true >>"$GITHUB_OUTPUT"',
    "save": f'{KNOWN_AS}\ncd "$HOME"; test ! -d "$STORE" || tar -cf "$file" $(ls -d ${{HERE//\\~\\//}} 2>/dev/null)',
}
COMMANDS = {
    # Of a folder the real one keeps what is in it.
    "actions/upload-artifact": 'mkdir -p "$STORE"; if test -d "$HERE"; then HERE="$HERE/."; fi; cp -a "$HERE" "$STORE"',
    "actions/download-artifact": """
mkdir -p "$HERE"
if test "${PATTERN: -1}" = /; then cp -a "$STORE/." "$HERE"; exit; fi
for found in $PATTERN; do if test -d "$found"; then cp -a "$found" "$HERE"; fi; done
""",
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
    """
    Options of act with which it finds stand-ins; artifacts are in the folder `artifacts`.

    Caches are in the folder `caches`, an archive for each key, if a test creates it.
    """
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
        run = json.dumps(CACHE_COMMANDS[name])
        (place / name / "action.yml").write_text(CACHING.format(run=run, store=folder / "caches"))
    checkout.repository(place)
    options += ["--local-repository", f"actions/cache@{pins()['actions/cache/restore']}={place}"]
    return tuple(options)


def setup_python(folder: Path) -> tuple[str, ...]:
    """Options of act with which it finds a stand-in for the action that sets Python up."""
    return _local("actions/setup-python", folder / "setup-python", SETTING_PYTHON_UP)


def checking_out(folder: Path, source: Path) -> tuple[str, ...]:
    """Options of act for the action that checks a branch out, which act does itself for the current commit alone."""
    return _local("actions/checkout", folder / "checkout", CHECKING_OUT.format(source=source))


def attesting(folder: Path, file: Path) -> tuple[str, ...]:
    """Options of act with which it finds a stand-in for the action that attests; a file has what it was given."""
    return _local("actions/attest", folder / "attest", ATTESTING.format(file=file))


def pages_actions(folder: Path, deployed: Path) -> tuple[str, ...]:
    """Options of act with which it finds stand-ins for the actions of Pages; what is deployed is in a folder."""
    kept = folder / "pages-artifact"
    return (
        *_local("actions/upload-pages-artifact", folder / "upload-pages", KEEPING_PAGES.format(kept=kept)),
        *_local("actions/deploy-pages", folder / "deploy-pages", DEPLOYING.format(kept=kept, deployed=deployed)),
    )


AWS_IDENTITY = """
name: Configure AWS credentials
description: Sets variables, where the real one exchanges a token of GitHub's for credentials of a role
inputs:
  role-to-assume: {{required: true, description: which role}}
  aws-region: {{required: true, description: which region}}
runs:
  using: composite
  steps:
    - shell: bash
      run: |
        test "${{{{ inputs.role-to-assume }}}}" = "{role}"
        printf '%s\\n' AWS_REGION=${{{{ inputs.aws-region }}}} {variables} >>"$GITHUB_ENV"
"""
ECR_LOGIN = """
name: Log in to Amazon ECR
description: Logs in to a registry, with the credentials of the step before
outputs:
  registry: {{description: its host, value: "${{{{ steps.login.outputs.registry }}}}"}}
runs:
  using: composite
  steps:
    - id: login
      shell: bash
      run: |
        test -n "$AWS_ACCESS_KEY_ID"
        mkdir -p "$HOME/.docker"
        printf '{{"auths": {{"%s": {{"auth": "%s"}}}}}}' {host} {login} >"$HOME/.docker/config.json"
        echo registry={host} >>"$GITHUB_OUTPUT"
"""


def aws_logins(folder: Path, *, role: str, variables: Mapping[str, str], host: str, login: str) -> tuple[str, ...]:
    """
    Options of act with which it finds stand-ins for the actions that log in to AWS and to Amazon ECR.

    The first one fails unless it is given the role, and sets variables; `login` is that for the registry.
    """
    pairs = " ".join(f"{name}={value}" for name, value in variables.items())
    encoded = base64.b64encode(login.encode()).decode()
    return (
        *_local(
            "aws-actions/configure-aws-credentials",
            folder / "aws-identity",
            AWS_IDENTITY.format(role=role, variables=pairs),
        ),
        *_local("aws-actions/amazon-ecr-login", folder / "ecr-login", ECR_LOGIN.format(host=host, login=encoded)),
    )


def _local(name: str, place: Path, text: str) -> tuple[str, ...]:
    """Options of act for an action that is in a folder."""
    place.mkdir()
    (place / "action.yml").write_text(text)
    checkout.repository(place)
    return ("--local-repository", f"{name}@{pins()[name]}={place}")


def cloud_logins(folder: Path, host: str, password: str) -> tuple[str, ...]:
    """
    Options of act with which it finds stand-ins for the logins of clouds, and the variables of a repository.

    Each fails unless it is given what the variables say, and logs in to a registry on this machine. The folder `az` has
    Azure's command line.
    """
    options = [word for name, value in CLOUD_VARIABLES.items() for word in ("--var", f"{name}={value}")]
    for name, (inputs, run, output) in CLOUD_ACTIONS.items():
        place = folder / name.replace("/", "-")
        place.mkdir()
        expected = [
            f'test "${{{{ inputs.{given} }}}}" = "{CLOUD_VARIABLES.get(value, value)}"'
            for given, value in inputs.items()
        ]
        script = "\n".join((*expected, run.replace("{host}", host).replace("{password}", password)))
        step = {"id": "login", "shell": "bash", "run": script}
        outputs = (
            {output: {"description": output, "value": f"${{{{ steps.login.outputs.{output} }}}}"}} if output else {}
        )
        action = {
            "name": name,
            "description": "Logs in, where the real one exchanges a token of GitHub's for one of the cloud",
            "inputs": {given: {"description": given, "required": True} for given in inputs},
            "outputs": outputs,
            "runs": {"using": "composite", "steps": [step]},
        }
        (place / "action.yml").write_text(json.dumps(action))
        checkout.repository(place)
        options += ["--local-repository", f"{name}@{pins()[name]}={place}"]
    program = folder / "azure-cli" / "az"
    program.parent.mkdir()
    program.write_text(AZ.replace("{host}", host).replace("{password}", password))
    program.chmod(0o755)
    return tuple(options)
