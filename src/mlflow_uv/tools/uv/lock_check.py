"""Arguments and output of `uv lock --check`, for `Uv` and for the hook check-lock. Imports `os` only."""

import os

# Keys of [tool.uv] or uv.toml that are ignored, each with the variable by which the job sets it, and the reason.
IGNORED_SETTINGS = {
    "python-downloads-json-url": (
        "UV_PYTHON_DOWNLOADS_JSON_URL",
        "it selects the Python that is downloaded and run",
    ),
    "cache-dir": ("UV_CACHE_DIR", "files would be written to it, and read from it without a check of their hashes"),
}
TRUSTED_INDEXES = "MLFLOW_UV_TRUSTED_INDEXES"
NOWHERE = "/nonexistent/mlflow-uv"
NO_ENVIRONMENT = {"UV_PROJECT_ENVIRONMENT": NOWHERE}  # keeps uv from the Python of a `.venv`
RESOLVED = "Resolved "  # the beginning of uv's line about a lock that it checked
_INTERPRETER = "Using "  # of its line about the interpreter


def lock_arguments(*mode: str, script: str | None, offline: bool, python: str | None) -> tuple[str, ...]:
    """The arguments of `uv lock`."""
    return (
        "lock",
        *mode,
        *(("--script", script) if script else ()),
        *(("--offline",) if offline else ()),
        *(("--python", python) if python else ()),
    )


def says_only_fresh(code: int, words: str) -> bool:
    """Whether `uv lock --check` says that the lock is fresh, and nothing else, on standard error."""
    lines = words.splitlines()
    messages = [line for line in lines if not line.startswith(_INTERPRETER)]
    return code == 0 and len(messages) == 1 and messages[0].startswith(RESOLVED)


def program_on(path: str | None, name: str) -> str | None:
    """The first program with a name in the folders of a PATH."""
    for folder in (path or "").split(os.pathsep):
        program = os.path.join(folder, name)
        if folder and os.access(program, os.F_OK | os.X_OK) and not os.path.isdir(program):
            return program
    return None
