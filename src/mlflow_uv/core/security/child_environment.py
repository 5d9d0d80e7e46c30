"""Decides which of the caller's environment variables each kind of child process gets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .git_settings import GUARD, NO_NETWORK, as_variables
from .masking import is_secret_name, secrets_in

# uv variables that carry indexes, credentials, cache, network and trust: they stay. Every other UV_* is set aside.
_UV_KEPT_PREFIXES = ("UV_INDEX", "UV_HTTP_", "UV_CONCURRENT_", "UV_AZURE_", "UV_GCS_", "UV_S3_")
_UV_KEPT = frozenset({
    "UV_CACHE_DIR", "UV_CONFIG_FILE", "UV_CREDENTIALS_DIR", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS",
    "UV_INSECURE_HOST", "UV_KEYRING_PROVIDER", "UV_LINK_MODE", "UV_LOCK_TIMEOUT", "UV_NATIVE_TLS",
    "UV_NETRC", "UV_OFFLINE", "UV_PYPY_INSTALL_MIRROR", "UV_PYTHON_BIN_DIR", "UV_PYTHON_CACHE_DIR",
    "UV_PYTHON_DOWNLOADS", "UV_PYTHON_DOWNLOADS_JSON_URL", "UV_PYTHON_INSTALL_DIR", "UV_PYTHON_INSTALL_MIRROR",
    "UV_REQUEST_TIMEOUT", "UV_SYSTEM_CERTS", "UV_TORCH_BACKEND",
})  # fmt: skip
# Variables of uv commands that are not used here; uv would pass them on to build backends.
_UV_UNUSED = ("UV_PUBLISH_", "UV_GITHUB_TOKEN")
# What every child needs of the machine: programs, a home, a locale, the network and its certificates.
_MACHINE = frozenset({
    "ALL_PROXY", "CURL_CA_BUNDLE", "DYLD_LIBRARY_PATH", "GIT_SSL_CAINFO", "HOME", "HTTPS_PROXY", "HTTP_PROXY",
    "JAVA_HOME", "LANG", "LD_LIBRARY_PATH", "LOGNAME", "NETRC", "NO_PROXY", "PATH", "REQUESTS_CA_BUNDLE", "SHELL",
    "SSH_AUTH_SOCK", "SSL_CERT_DIR", "SSL_CERT_FILE", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "TZ", "USER",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR",
})  # fmt: skip
_STORE_PREFIXES = ("MLFLOW_", "AWS_", "AZURE_", "GOOGLE_", "GCLOUD_", "CLOUDSDK_", "DATABRICKS_", "BOTO_", "S3_")
# MLflow variables that would make payloads use another run, model or requirements than the given ones.
_MLFLOW_STEERING = frozenset({
    "MLFLOW_ACTIVE_MODEL_ID", "MLFLOW_ENV_ROOT", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_CONTEXT", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI",
    "MLFLOW_UV_COMMAND", "MLFLOW_UV_INPUTS",
})  # fmt: skip
# Variables of stores that are credentials or lead to credentials: by a word in the name, or by the whole name.
_CREDENTIAL_WORDS = ("TOKEN", "PASSWORD", "SECRET", "CREDENTIAL", "PRIVATE_KEY", "ACCESS_KEY", "ACCOUNT_KEY", "API_KEY")
_STORE_CREDENTIALS = frozenset({
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_PROFILE",
    "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_STORAGE_CONNECTION_STRING", "DATABRICKS_CONFIG_FILE",
    "DATABRICKS_CONFIG_PROFILE", "MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH", "MLFLOW_TRACKING_USERNAME",
})  # fmt: skip
# Variables that parts of mlflow-uv pass to each other.
_OURS = frozenset({"MLFLOW_UV_COMMAND", "MLFLOW_UV_INPUTS"})
_ENGINE_PREFIXES = ("DOCKER_", "BUILDX_", "BUILDKIT_", "CONTAINERS_", "CONTAINER_", "BUILDAH_", "REGISTRY_AUTH_")
_GIT_SETTINGS = frozenset({"GIT_CONFIG_COUNT", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM"})
_GIT_PAIRS = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
# What git sources of uv need for transport and authentication, and what keyring helpers read.
_FETCHING = frozenset({
    "DBUS_SESSION_BUS_ADDRESS", "GIT_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_SSL_CAPATH",
    "GIT_TERMINAL_PROMPT", "KRB5CCNAME", "KRB5_CONFIG", "PYTHON_KEYRING_BACKEND", "SSH_AGENT_PID", "SSH_ASKPASS",
    "SSH_ASKPASS_REQUIRE", "XDG_CONFIG_DIRS", *_GIT_SETTINGS,
})  # fmt: skip
_FETCHING_PREFIXES = ("ARTIFACTS_", "KEYRING_", "NUGET_CREDENTIALPROVIDER_", "VSS_NUGET_", *_GIT_PAIRS)
# Cloud credentials, needed by uv or its helpers if a keyring or an index in cloud storage is configured.
_CLOUD = ("AWS_", "AZURE_", "CLOUDSDK_", "GCLOUD_", "GOOGLE_")
_CLOUD_STORAGE = ("UV_AZURE_ENDPOINT_URL", "UV_GCS_ENDPOINT_URL", "UV_S3_ENDPOINT_URL")
# Variables that lead uv to packages, and may make a lock look as if it was made for another index.
INDEX_VARIABLES = frozenset(
    {"UV_CONFIG_FILE", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX", "UV_INDEX_URL"}
)
# Command files of a CI runner: whoever writes to them sets variables and outputs of later steps.
COMMAND_FILES = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
# Rights on the repository, the CI and package indexes, which training gets only if they are named explicitly.
_CI_PREFIXES = ("ACTIONS_", "CI_JOB_JWT", "TWINE_", *_UV_UNUSED)
_CI = frozenset({
    "BITBUCKET_STEP_OIDC_TOKEN", "BUILDKITE_AGENT_ACCESS_TOKEN", "CIRCLE_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN_V2",
    "CI_DEPLOY_PASSWORD", "CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD", "FORGEJO_TOKEN", "GH_ENTERPRISE_TOKEN", "GH_TOKEN",
    "GITEA_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GITHUB_TOKEN", "SYSTEM_ACCESSTOKEN",
})  # fmt: skip
# Variables of the machine that give access beyond the user's files.
_SOCKETS = frozenset({"NETRC", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR"})
_MLFLOW_STORE = ("MLFLOW_TRACKING_", "MLFLOW_REGISTRY_", "MLFLOW_S3_", "MLFLOW_UV_")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChildEnvironment:
    """
    The variables of a child process.

    `set_aside` are the names of ignored variables that would change a result, `withheld` the names of those that would
    give the child rights that it does not need.
    """

    variables: Mapping[str, str]
    set_aside: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()


def _steers_uv(name: str) -> bool:
    return name.startswith("UV_") and name not in _UV_KEPT and not name.startswith((*_UV_KEPT_PREFIXES, *_UV_UNUSED))


def _machine(name: str) -> bool:
    return name.upper() in _MACHINE or name.startswith("LC_")


def _of_machine(variables: Mapping[str, str]) -> dict[str, str]:
    """The machine's variables. Empty and relative entries of PATH, which refer to the working folder, are removed."""
    kept = {name: value for name, value in variables.items() if _machine(name)}
    path = ":".join(entry for entry in kept.pop("PATH", "").split(":") if entry.startswith("/"))
    return kept | ({"PATH": path} if path else {})


def for_uv(variables: Mapping[str, str], *, respect: bool, keyring: bool = False) -> ChildEnvironment:
    """
    Return the variables for uv commands on a lock or an environment; see the table in docs/identity.md.

    With `respect`, the caller's `UV_*` variables that change the result are kept. Cloud credentials are kept if uv may
    need them: for a keyring helper (`keyring`), a git credential helper, or an index in cloud storage. uv passes its
    variables on to build backends.
    """
    cloud = keyring or _uses_cloud(variables)
    kept = _of_machine(variables) | {
        name: value
        for name, value in variables.items()
        if (name.startswith("UV_") and (respect or not _steers_uv(name)) and not name.startswith(_UV_UNUSED))
        or name in _FETCHING
        or name.startswith(_FETCHING_PREFIXES)
        or (cloud and name.startswith(_CLOUD))
    }
    set_aside = () if respect else tuple(sorted(name for name in variables if _steers_uv(name)))
    guard = as_variables(GUARD.items(), beside=kept)  # build backends start git in the checkout
    return ChildEnvironment(variables=kept | guard | {"UV_NO_PROGRESS": "1", "NO_COLOR": "1"}, set_aside=set_aside)


def _uses_cloud(variables: Mapping[str, str]) -> bool:
    """Whether the caller's variables configure a helper or an index that may need cloud credentials."""
    if variables.get("UV_KEYRING_PROVIDER", "disabled") not in ("", "disabled"):
        return True
    helpers = (
        name.startswith("GIT_CONFIG_KEY_") and re.fullmatch(r"credential\.(.+\.)?helper", value.lower())
        for name, value in variables.items()
    )
    return any(variables.get(name) for name in _CLOUD_STORAGE) or any(helpers)


def for_payload(variables: Mapping[str, str]) -> ChildEnvironment:
    """The variables for payloads in the user's interpreter: the machine's, and access to a tracking server."""
    kept = _of_machine(variables) | {
        name: value
        for name, value in variables.items()
        if name.startswith(_STORE_PREFIXES) and name not in _MLFLOW_STEERING
    }
    guard = as_variables(GUARD.items(), beside={})  # MLflow runs git to read the commit
    return ChildEnvironment(variables=kept | guard | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"})


def for_model(variables: Mapping[str, str]) -> ChildEnvironment:
    """The variables for a payload that loads a model: the machine's and MLflow's, without credentials and stores."""
    kept = _of_machine(variables) | {
        name: value
        for name, value in variables.items()
        if name.startswith("MLFLOW_") and not name.startswith(_MLFLOW_STORE) and name not in _MLFLOW_STEERING
    }
    secret_names = {name for name, value in kept.items() if is_secret_name(name) or secrets_in({name: value})}
    kept = {name: value for name, value in kept.items() if name not in secret_names and name.upper() not in _SOCKETS}
    guard = as_variables(GUARD.items(), beside={})
    return ChildEnvironment(variables=kept | guard | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"})


def for_training(variables: Mapping[str, str], *, respect: bool, allowed: tuple[str, ...] = ()) -> ChildEnvironment:
    """
    Return the variables for training: the caller's, without `UV_*` variables that would make `uv run` reject the lock.

    With `respect`, those are kept. Variables that control the CI runner or give rights on the repository are withheld,
    unless `allowed` names them.
    """
    set_aside = frozenset() if respect else frozenset(name for name in variables if _steers_uv(name))
    hidden = set_aside | _OURS | {"VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "MLFLOW_RUN_ID", "PYTHONHOME"}
    rights = {name for name in variables if name in _CI or name.startswith(_CI_PREFIXES)} - {*allowed}
    command_files = {*COMMAND_FILES} - {*allowed}
    kept = {name: value for name, value in variables.items() if name not in hidden | rights | command_files}
    return ChildEnvironment(variables=kept, set_aside=tuple(sorted(set_aside)), withheld=tuple(sorted(rights)))


def for_engine(variables: Mapping[str, str]) -> ChildEnvironment:
    """The variables for a container engine's client: the machine's and the engine's, without a default platform."""
    return ChildEnvironment(
        variables=_of_machine(variables)
        | {
            name: value
            for name, value in variables.items()
            if name.startswith(_ENGINE_PREFIXES) and name != "DOCKER_DEFAULT_PLATFORM"
        }
    )


def for_git(variables: Mapping[str, str]) -> ChildEnvironment:
    """
    Return the variables for git: the machine's, and the caller's git settings.

    GIT_DIR and GIT_INDEX_FILE, which hooks have and which refer to another tree, and variables that name programs are
    left out.
    """
    kept = _of_machine(variables) | {
        name: value for name, value in variables.items() if name in _GIT_SETTINGS or name.startswith(_GIT_PAIRS)
    }
    return ChildEnvironment(variables=kept | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"} | NO_NETWORK)


def for_server(variables: Mapping[str, str]) -> ChildEnvironment:
    """The variables for a model server in a local process: only those that an image has, too."""
    kept = {name: variables[name] for name in ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH") if name in variables}
    return ChildEnvironment(variables=kept | {"PYTHONUNBUFFERED": "1"})


def gives_rights(name: str) -> bool:
    """Whether a variable of this name gives rights on the CI, its runner, a package index or a store."""
    ci = name in _CI or name.startswith(_CI_PREFIXES) or name in COMMAND_FILES
    return ci or bool(store_credentials_in({name: "given"}))


def store_credentials_in(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The sorted names of the variables with credentials for a tracking server, a registry or an artifact store."""
    return tuple(
        sorted(
            name
            for name, value in variables.items()
            if value
            and name.startswith(_STORE_PREFIXES)
            and not name.startswith("MLFLOW_UV_")
            and (name in _STORE_CREDENTIALS or any(word in name for word in _CREDENTIAL_WORDS))
        )
    )
