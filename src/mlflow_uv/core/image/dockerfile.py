"""Renders the Dockerfile of a serving image."""

import json
from collections.abc import Mapping
from dataclasses import field

from ...payloads.messages.lazy_dataclass import lazy_dataclass

PORT = 8080
USER = 10001
VENV = "/opt/venv"
MODEL = "/opt/model"
SERVING = "/opt/mlflow-uv"
# Mount point in a build. The runtime creates /dev for every command, so that mounts leave no trace in a layer.
MOUNTS = "/dev/mlflow-uv"
SECRETS = ("ca", "netrc", "network")
# Variables that the server reads. If a base image sets one, it is reset to an empty value, the server's own default.
SERVER_VARIABLES = frozenset({
    "ACCESS_LOG", "ATTESTATIONS", "AZUREML_MODEL_DIR", "BODY_LIMIT", "CONNECTIONS", "DRAIN_TIMEOUT", "FAST",
    "HEAD_TIMEOUT", "HOST", "METRICS", "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "MLFLOW_TRACING_DESTINATION",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_UV_APART", "MLFLOW_UV_MODEL", "MODEL_NAME", "MODEL_VERSION", "OPENAPI", "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "PORT", "REQUEST_TIMEOUT", "SAGEMAKER_BIND_TO_PORT", "THREADS", "VERIFY",
    "WORKERS",
})  # fmt: skip
# The file with attestations of a server that verifies its model: whoever starts the image mounts it.
ATTESTATIONS = "/attestations.jsonl"
# Characters of a variable of a server: Linux starts no process with one of 128 KiB (MAX_ARG_STRLEN).
LONGEST_VARIABLE = 120_000
# Variables of every image, whatever the base sets; PATH is also extended.
VARIABLES = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/tmp"}  # noqa: S108  # in the image
FOLDER = "/tmp"  # noqa: S108  # in the image
ENTRY_POINT = (f"{VENV}/bin/python", "-I", SERVING)
HEALTH_CHECK = (f"{VENV}/bin/python", "-I", "-S", f"{SERVING}/healthcheck.py")
HEALTH_INTERVAL_S, HEALTH_TIMEOUT_S, HEALTH_START_S = 10, 5, 60
# Names in the build context: the installer's folder, and the archives that become layers.
INSTALLER, SERVER_LAYER, MODEL_LAYER = "installer", "server.tar", "model.tar"
PACKAGES_LABEL = "mlflow-uv.packages-sha256"


@lazy_dataclass
class Recipe:
    """
    The contents of an image.

    `parts` maps folders of the build context to digests of what is installed from them, one layer each, lowest first;
    a cross build has one. `hashed` states that every requirement has hashes, `resolved` that the requirements are
    complete, so that no dependency is resolved. `crossing` builds for other architectures as well. `python` is the
    base image's interpreter, and `variables` are the names of the variables that it sets. With `layers`, archives in
    the build context, nothing is installed: they are added, lowest first, server and model among them. `verify` is the
    value of VERIFY in the configuration, one line; empty for none.
    """

    base: str
    parts: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    hashed: bool = True
    resolved: bool = True
    crossing: bool = False
    python: str = "python3"
    variables: frozenset[str] = frozenset()
    verify: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def render_dockerfile(recipe: Recipe) -> str:
    """
    Render the Dockerfile, with packages first and the model last, so that a new model reinstalls nothing.

    The base image needs no shell, and network settings are build secrets. There is no `# syntax=` line, whose image
    would have to be pulled. A cross build installs the packages in a separate stage on the build platform.
    """
    content = _packages(recipe) if recipe.parts else (f"FROM {recipe.base}", "USER 0:0")
    lines = (
        *content,
        *(f"ADD {layer} /" for layer in recipe.layers or (SERVER_LAYER, MODEL_LAYER)),
        " ".join((f"ENV PATH={VENV}/bin:$PATH", *(f"{name}={value}" for name, value in VARIABLES.items()))),
        *(f"ENV {name}=" for name in sorted(SERVER_VARIABLES & recipe.variables)),
        *(f"ENV {name}={_quoted(value)}" for name, value in verifying_variables(recipe.verify).items()),
        f"USER {USER}:{USER}",
        f"WORKDIR {FOLDER}",
        f"EXPOSE {PORT}",
        "STOPSIGNAL SIGTERM",
        f"HEALTHCHECK {_health_times()} \\",
        f"    CMD {json.dumps(HEALTH_CHECK)}",
        f"ENTRYPOINT {json.dumps(ENTRY_POINT)}",
        *(f"LABEL {name}={_quoted(value)}" for name, value in sorted(recipe.labels.items())),
    )
    return "\n".join(lines) + "\n"


def verifying_variables(verify: str) -> Mapping[str, str]:
    """The variables of an image whose server verifies the model when it starts; none for an empty value of VERIFY."""
    return {"ATTESTATIONS": ATTESTATIONS, "VERIFY": verify} if verify else {}


def _packages(recipe: Recipe) -> tuple[str, ...]:
    options = {"--apart": recipe.crossing, "--no-deps": recipe.resolved, "--require-hashes": recipe.hashed}
    flags = [flag for flag, enabled in options.items() if enabled]
    install = ["USER 0:0"]
    for folder, digest in recipe.parts.items():
        more = ("--more",) if len(install) > 1 else ()
        install += [
            # Makes the cache key depend on the list: Buildah ignores mounts, and would reuse another list's layer.
            f'LABEL {PACKAGES_LABEL}="{digest}"',
            f"RUN --mount=type=bind,source={INSTALLER},target={MOUNTS}/{INSTALLER} \\",
            f"    --mount=type=bind,source={folder},target={MOUNTS}/packages \\",
            f"    --mount=type=cache,target={MOUNTS}/cache \\",
            *(f"    --mount=type=secret,id={name},target={MOUNTS}/{name} \\" for name in SECRETS),
            f"    {json.dumps([recipe.python, '-I', '-B', f'{MOUNTS}/{INSTALLER}/install.py', *more, *flags])}",
        ]
    if not recipe.crossing:
        return (f"FROM {recipe.base}", *install)
    return (
        f"FROM --platform=$BUILDPLATFORM {recipe.base} AS packages",
        "ARG TARGETARCH",
        *install,
        f"FROM {recipe.base}",
        "USER 0:0",
        "COPY --from=packages /layer/ /",
    )


def _health_times() -> str:
    times = {"interval": HEALTH_INTERVAL_S, "timeout": HEALTH_TIMEOUT_S, "start-period": HEALTH_START_S}
    return " ".join(f"--{name}={seconds}s" for name, seconds in times.items())


def _quoted(value: str) -> str:
    """A text in quotes for a Dockerfile, with backslashes, quotes and dollar signs escaped."""
    for sign in ("\\", '"', "$"):
        value = value.replace(sign, f"\\{sign}")
    return f'"{value}"'
