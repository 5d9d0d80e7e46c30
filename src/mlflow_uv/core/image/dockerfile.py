"""What does a serving image consist of? Text only; an engine builds it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

PORT = 8080
USER = 10001
VENV = "/opt/venv"
MODEL = "/opt/model"
SERVING = "/opt/mlflow-uv"
# Under /dev, which the runtime makes anew for every command: whatever is mounted there leaves no trace in a layer.
DOOR = "/dev/mlflow-uv"
SECRETS = ("ca", "netrc", "network")
# What the server follows: where a base image sets one, it is set to nothing, which means the server's own default.
FOLLOWED = frozenset({
    "ACCESS_LOG", "AZUREML_MODEL_DIR", "BODY_LIMIT", "CONNECTIONS", "DRAIN_TIMEOUT", "HEAD_TIMEOUT", "HOST",
    "METRICS", "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "MLFLOW_TRACING_DESTINATION", "MLFLOW_TRACKING_URI",
    "MLFLOW_UV_APART", "MLFLOW_UV_MODEL", "MODEL_NAME", "MODEL_VERSION", "OPENAPI", "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "PORT", "REQUEST_TIMEOUT", "SAGEMAKER_BIND_TO_PORT", "THREADS", "WORKERS",
})  # fmt: skip
# What a build reads, and the archives that become layers, in its folder.
INSTALLER, SERVER_LAYER, MODEL_LAYER = "installer", "server.tar", "model.tar"
PACKAGES_LABEL = "mlflow-uv.packages-sha256"


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """
    What goes into an image.

    `hashed` says that every requirement carries its hashes; `resolved` that the list is the whole closure, so that
    nothing else may be installed. `crossing` builds for another architecture than that of the machine, too. `python` is
    what the base calls its interpreter, `variables` are the names of those that it sets. `parts` are digests of what is
    installed from each folder, a layer each, the lowest first; one alone where it crosses.
    """

    base: str
    parts: Mapping[str, str]
    hashed: bool
    resolved: bool
    crossing: bool = False
    python: str = "python3"
    variables: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)


def render_dockerfile(recipe: Recipe) -> str:
    """
    Packages first, the model last: a change of the model reinstalls nothing.

    Nothing needs a shell in the base, and what reaches the network comes as a build secret. No `# syntax=` line: it
    would be pulled. Built for the machine's own architecture, the packages are installed where they stay; else another
    stage installs them, since nothing of another architecture runs here.
    """
    lines = (
        *_packages(recipe),
        f"ADD {SERVER_LAYER} /",
        f"ADD {MODEL_LAYER} /",
        f"ENV PATH={VENV}/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp",
        *(f"ENV {name}=" for name in sorted(FOLLOWED & recipe.variables)),
        f"USER {USER}:{USER}",
        "WORKDIR /tmp",
        f"EXPOSE {PORT}",
        "STOPSIGNAL SIGTERM",
        "HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \\",
        f'    CMD ["{VENV}/bin/python", "-I", "-S", "{SERVING}/healthcheck.py"]',
        f'ENTRYPOINT ["{VENV}/bin/python", "-I", "{SERVING}"]',
        *(f"LABEL {name}={_quoted(value)}" for name, value in sorted(recipe.labels.items())),
    )
    return "\n".join(lines) + "\n"


def _packages(recipe: Recipe) -> tuple[str, ...]:
    wishes = {"--apart": recipe.crossing, "--no-deps": recipe.resolved, "--require-hashes": recipe.hashed}
    flags = [flag for flag, wanted in wishes.items() if wanted]
    install = ["USER 0:0"]
    for folder, digest in recipe.parts.items():
        more = ("--more",) if len(install) > 1 else ()
        install += [
            # Buildah, which does not look at what is mounted, would take the layer of another list for this one.
            f'LABEL {PACKAGES_LABEL}="{digest}"',
            f"RUN --mount=type=bind,source={INSTALLER},target={DOOR}/{INSTALLER} \\",
            f"    --mount=type=bind,source={folder},target={DOOR}/packages \\",
            f"    --mount=type=cache,target={DOOR}/cache \\",
            *(f"    --mount=type=secret,id={name},target={DOOR}/{name} \\" for name in SECRETS),
            f"    {json.dumps([recipe.python, '-I', '-B', f'{DOOR}/{INSTALLER}/install.py', *more, *flags])}",
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


def _quoted(value: str) -> str:
    """A text as a Dockerfile has it between quotes, where a dollar would begin a variable."""
    for sign in ("\\", '"', "$"):
        value = value.replace(sign, f"\\{sign}")
    return f'"{value}"'
