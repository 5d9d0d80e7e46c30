"""
Entry point: `PYTHON -I <this folder> RESPONSE_FILE`, the request as JSON on standard input.

The request has a private key if it asks for signatures; it is nowhere else, neither in arguments nor in variables. The
environment has the packages of bundles, or those of a service that has the key.
"""

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

PACKAGE = "mlflow_uv_signing"


def load_package(folder: Path, module: str) -> Any:
    """Load the modules beside this one as a package with a name of its own, and return one of them."""
    places = (folder, folder.parent / "serving" / "model")  # the second has the server's module about identities
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[*map(str, places)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"the program in {folder} cannot be loaded")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return importlib.import_module(f"{PACKAGE}.{module}")


def main(response: str) -> int:
    """Answer one request; 0 also for one that is refused, whose reason is in the response."""
    request: dict[str, Any] = json.loads(sys.stdin.read())
    module = "key_services" if request["verb"] == "sign-by-service" else "bundles"
    program = load_package(Path(__file__).resolve().parent, module)
    try:
        answer = {"value": program.VERBS[request["verb"]](request)}
    except program.Refused as refused:
        answer = {"refused": str(refused)}
    Path(response).write_text(json.dumps(answer), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
