"""A small plugin of `mlflow.deployments`, which keeps its deployments in a folder: `cellar:/FOLDER`."""

import json
import pathlib
import threading

from mlflow.deployments import BaseDeploymentClient


class CellarClient(BaseDeploymentClient):
    """Deployments that multiply by what the version of their model says; `faults.json` has the versions that fail."""

    def __init__(self, target_uri):
        super().__init__(target_uri)
        self._folder = pathlib.Path(target_uri.partition(":")[2])

    def _file(self, name):
        return self._folder / f"{name}.deployment"

    def _faults(self):
        file = self._folder / "faults.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def _write(self, name, model_uri, config):
        version = model_uri.rpartition("/")[2]
        fault = self._faults().get(version)
        if fault == "ends":
            raise RuntimeError("the machine ran out of memory")
        if fault == "hangs":
            threading.Event().wait()
        self._file(name).write_text(json.dumps({"name": name, "version": version, "config": config}))
        return {"name": name}

    def create_deployment(self, name, model_uri, flavor=None, config=None, endpoint=None):
        if self._file(name).exists():
            raise RuntimeError(f"{name} exists")
        return self._write(name, model_uri, config)

    def update_deployment(self, name, model_uri=None, flavor=None, config=None, endpoint=None):
        self.get_deployment(name)
        return self._write(name, model_uri, config)

    def delete_deployment(self, name, config=None, endpoint=None):
        self._file(name).unlink()

    def list_deployments(self, endpoint=None):
        return [{"name": file.stem} for file in sorted(self._folder.glob("*.deployment"))]

    def get_deployment(self, name, endpoint=None):
        return {"name": name, "config": json.loads(self._file(name).read_text())["config"]}

    def predict(self, deployment_name=None, inputs=None, endpoint=None):
        deployed = json.loads(self._file(deployment_name).read_text())
        factor = 3 if self._faults().get(deployed["version"]) == "wrong" else 2
        return {"predictions": inputs * factor}


def run_local(target, name, model_uri, flavor=None, config=None):
    """The interface of a plugin has it."""
    raise NotImplementedError


def target_help():
    """The interface of a plugin has it."""
    return "cellar:/FOLDER"
