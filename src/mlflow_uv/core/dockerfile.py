"""What does a serving image consist of? Text only; tools/docker.py builds it."""

from dataclasses import dataclass

PORT = 8080
USER = 10001
VENV = "/opt/venv"
MODEL = "/opt/model"
SERVING = "/opt/mlflow-uv"
TRUST = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """
    What goes into an image.

    `hashed` says that every requirement carries its hashes; `resolved` that the list is the whole closure, so that
    nothing else may be installed.
    """

    base: str
    hashed: bool
    resolved: bool
    wheels: bool


def render_dockerfile(recipe: Recipe) -> str:
    """
    Packages first, the model last: a change of the model reinstalls nothing.

    Trust, proxies and private indexes come as build secrets (`ca`, `network`), so no layer holds them. uv itself stays
    in the first stage. No `# syntax=` line: it would be pulled.
    """
    flags = " ".join(
        flag for flag, wanted in (("--no-deps", recipe.resolved), ("--require-hashes", recipe.hashed)) if wanted
    )
    wheels = ("COPY mlflow-uv/wheels /build/mlflow-uv/wheels",) if recipe.wheels else ()
    lines = (
        f"FROM {recipe.base} AS packages",
        "WORKDIR /build",
        "COPY uv.txt requirements.txt /build/",
        *wheels,
        f"RUN --mount=type=secret,id=ca,target={TRUST} --mount=type=secret,id=network \\",
        "    --mount=type=cache,target=/root/.cache \\",
        "    . /run/secrets/network && export UV_LINK_MODE=copy UV_NO_PROGRESS=1 \\",
        "    && python3 -m venv /build/uv \\",
        "    && /build/uv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \\",
        "        --only-binary :all: -r uv.txt \\",
        f'    && /build/uv/bin/uv venv --no-config --python "$(command -v python3)" {VENV} \\',
        f"    && /build/uv/bin/uv pip install --no-config --compile-bytecode {flags} --python {VENV}/bin/python \\",
        "        -r requirements.txt",
        "",
        f"FROM {recipe.base}",
        f"ENV PATH={VENV}/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \\",
        f"    MLFLOW_UV_MODEL={MODEL} PORT={PORT}",
        f"COPY --from=packages {VENV} {VENV}",
        f"COPY serving {SERVING}",
        f"COPY model {MODEL}",
        f"USER {USER}:{USER}",
        "WORKDIR /tmp",
        f"EXPOSE {PORT}",
        "HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \\",
        f'    CMD ["{VENV}/bin/python", "-I", "-S", "{SERVING}/healthcheck.py"]',
        f'ENTRYPOINT ["{VENV}/bin/python", "-I", "{SERVING}/server.py"]',
    )
    return "\n".join(lines) + "\n"
