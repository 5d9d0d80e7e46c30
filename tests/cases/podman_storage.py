"""Podman with storage of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .images import BASE

STORE = '[storage]\ndriver = "overlay"\ngraphroot = "{store}"\nrunroot = "{folder}/run"\n'
# Podman's own are higher than a process may set in a machine that is itself confined.
LIMITS = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
# Debian's first choice, crun, refuses a machine that has both versions of control groups.
RUNTIME = '[engine]\nruntime = "runc"\n'


@contextmanager
def podman_storage_in(
    folder: Path, program: str, *, registry: str = "", store: Path | None = None
) -> Iterator[dict[str, str]]:
    """
    Variables by which Podman keeps everything in a folder, has Docker's base image, and knows a registry.

    `store` is where images are kept, if not in the folder.
    """
    store = store or folder / "store"
    known = f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n' if registry else ""
    settings = {
        "CONTAINERS_CONF": LIMITS + (RUNTIME if shutil.which("runc") else ""),
        "CONTAINERS_REGISTRIES_CONF": known,
        "CONTAINERS_STORAGE_CONF": STORE.format(store=store, folder=folder),
    }
    for name, text in settings.items():
        (folder / name).write_text(text)
    variables = {name: str(folder / name) for name in settings}
    with subprocess.Popen(("docker", "save", BASE), stdout=subprocess.PIPE) as saving:
        load = (program, "load", "--quiet")
        subprocess.run(load, stdin=saving.stdout, check=True, capture_output=True, env={**os.environ, **variables})
    yield variables
    # Podman mounts its store on itself, most often.
    subprocess.run(("umount", store / "overlay"), check=False, capture_output=True)
    shutil.rmtree(store)
