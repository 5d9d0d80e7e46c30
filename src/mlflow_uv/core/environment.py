"""Which of the caller's variables may steer what? Nothing but names is decided here."""

from collections.abc import Mapping
from dataclasses import dataclass

from .gitsettings import GUARD, NO_NETWORK, as_variables

# uv variables that carry indexes, credentials, cache, network and trust: they stay. Every other UV_* is set aside.
_UV_KEPT_PREFIXES = ("UV_INDEX", "UV_HTTP_", "UV_CONCURRENT_", "UV_AZURE_", "UV_GCS_", "UV_S3_")
_UV_KEPT = frozenset({
    "UV_CACHE_DIR", "UV_CONFIG_FILE", "UV_CREDENTIALS_DIR", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS",
    "UV_GITHUB_TOKEN", "UV_INSECURE_HOST", "UV_KEYRING_PROVIDER", "UV_LINK_MODE", "UV_LOCK_TIMEOUT", "UV_NATIVE_TLS",
    "UV_NETRC", "UV_OFFLINE", "UV_PYPY_INSTALL_MIRROR", "UV_PYTHON_BIN_DIR", "UV_PYTHON_CACHE_DIR",
    "UV_PYTHON_DOWNLOADS", "UV_PYTHON_DOWNLOADS_JSON_URL", "UV_PYTHON_INSTALL_DIR", "UV_PYTHON_INSTALL_MIRROR",
    "UV_REQUEST_TIMEOUT", "UV_SYSTEM_CERTS", "UV_TORCH_BACKEND",
})  # fmt: skip
# What a child needs of the machine, whoever it is: find programs, a home, a locale, the network and its trust.
_MACHINE = frozenset({
    "ALL_PROXY", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "HOME", "HTTPS_PROXY", "HTTP_PROXY", "LANG", "LD_LIBRARY_PATH",
    "LOGNAME", "NETRC", "NO_PROXY", "PATH", "REQUESTS_CA_BUNDLE", "SHELL", "SSL_CERT_DIR", "SSL_CERT_FILE",
    "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "TZ", "USER", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR", "DYLD_LIBRARY_PATH", "SSH_AUTH_SOCK",
})  # fmt: skip
_STORE_PREFIXES = ("MLFLOW_", "AWS_", "AZURE_", "GOOGLE_", "GCLOUD_", "CLOUDSDK_", "DATABRICKS_", "BOTO_", "S3_")
# MLflow variables that would steer our payloads to another run, model or requirements than the one they were told.
_MLFLOW_STEERING = frozenset({
    "MLFLOW_ACTIVE_MODEL_ID", "MLFLOW_ENV_ROOT", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_CONTEXT", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_UV_INPUTS",
})  # fmt: skip
_ENGINE_PREFIXES = ("DOCKER_", "BUILDX_", "BUILDKIT_", "CONTAINERS_", "CONTAINER_", "BUILDAH_", "REGISTRY_AUTH_")
_GIT_SETTINGS = frozenset({"GIT_CONFIG_COUNT", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM"})
_GIT_PAIRS = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
_SECRET_WORDS = ("TOKEN", "PASSWORD", "PASSWD", "SECRET", "CREDENTIAL", "PRIVATE_KEY", "ACCESS_KEY", "API_KEY")


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """Variables for a child, and the names of the caller's that were set aside because they change an answer."""

    variables: Mapping[str, str]
    set_aside: tuple[str, ...] = ()


def _steers_uv(name: str) -> bool:
    return name.startswith("UV_") and name not in _UV_KEPT and not name.startswith(_UV_KEPT_PREFIXES)


def _machine(name: str) -> bool:
    return name.upper() in _MACHINE or name.startswith("LC_")


def _of_machine(variables: Mapping[str, str]) -> dict[str, str]:
    """What a child needs of the machine; an empty or relative part of PATH would lead into the folder where it runs."""
    kept = {name: value for name, value in variables.items() if _machine(name)}
    path = ":".join(entry for entry in kept.pop("PATH", "").split(":") if entry.startswith("/"))
    return kept | ({"PATH": path} if path else {})


def for_uv(variables: Mapping[str, str], *, respect: bool) -> Partition:
    """For a question about the lock, or an environment made from it: see the table in docs/identity.md."""
    kept = _of_machine(variables) | {
        name: value for name, value in variables.items() if name.startswith("UV_") and (respect or not _steers_uv(name))
    }
    aside = () if respect else tuple(sorted(name for name in variables if _steers_uv(name)))
    guard = as_variables(GUARD.items(), beside={})  # build backends start git in the checkout
    return Partition(variables=kept | guard | {"UV_NO_PROGRESS": "1", "NO_COLOR": "1"}, set_aside=aside)


def for_payload(variables: Mapping[str, str]) -> Partition:
    """For our own scripts in the user's interpreter: the machine, and what reaches a tracking server."""
    kept = _of_machine(variables) | {
        name: value
        for name, value in variables.items()
        if name.startswith(_STORE_PREFIXES) and name not in _MLFLOW_STEERING
    }
    guard = as_variables(GUARD.items(), beside={})  # MLflow asks git for the commit
    return Partition(variables=kept | guard | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"})


def for_training(variables: Mapping[str, str], *, respect: bool) -> Partition:
    """The caller's own, without the uv variables that would make `uv run` reject a lock that is fresh without them."""
    aside = frozenset() if respect else frozenset(name for name in variables if _steers_uv(name))
    hidden = aside | {"VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "MLFLOW_RUN_ID", "MLFLOW_UV_INPUTS", "PYTHONHOME"}
    kept = {name: value for name, value in variables.items() if name not in hidden}
    return Partition(variables=kept, set_aside=tuple(sorted(aside)))


def for_engine(variables: Mapping[str, str]) -> Partition:
    """For the container engine's client: the machine and the engine's own variables, without another platform."""
    return Partition(
        variables=_of_machine(variables)
        | {
            name: value
            for name, value in variables.items()
            if name.startswith(_ENGINE_PREFIXES) and name != "DOCKER_DEFAULT_PLATFORM"
        }
    )


def for_git(variables: Mapping[str, str]) -> Partition:
    """
    For git: the machine and the caller's settings for git.

    Without GIT_DIR and GIT_INDEX_FILE, which a hook has and which would answer for another tree, and without every
    variable that names a program.
    """
    kept = _of_machine(variables) | {
        name: value for name, value in variables.items() if name in _GIT_SETTINGS or name.startswith(_GIT_PAIRS)
    }
    return Partition(variables=kept | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"} | NO_NETWORK)


def for_server(variables: Mapping[str, str]) -> Partition:
    """For a model server in a local process: what an image would have, no more."""
    kept = {name: variables[name] for name in ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH") if name in variables}
    return Partition(variables=kept | {"PYTHONUNBUFFERED": "1"})


def secrets_in(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The values that must never be shown: of variables named like secrets, and passwords inside URLs."""
    import re  # noqa: PLC0415  # see `mask`

    found = {value for name, value in variables.items() if any(word in name.upper() for word in _SECRET_WORDS)}
    for value in variables.values():
        found.update(re.findall(r"://[^/\s:@]*:([^/\s@]+)@", value))
    # Output is masked line by line, and a key has many.
    lines = {line.strip() for value in found for line in value.splitlines()}
    return tuple(sorted((line for line in lines if len(line) >= 4), key=len, reverse=True))  # noqa: PLR2004


def mask(text: str, secrets: tuple[str, ...]) -> str:
    """Replace secrets, and the password of any URL, by asterisks."""
    import re  # noqa: PLC0415  # hooks that have nothing to hide do not pay for it

    for secret in secrets:
        text = text.replace(secret, "***")
    return re.sub(r"(://[^/\s:@]*):[^/\s@]+@", r"\1:***@", text)
