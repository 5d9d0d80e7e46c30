"""Which packages are large, as far as a lock tells."""

from mlflow_uv.core.image.layers import large_packages
from mlflow_uv.core.lock.lockfile import read_lockfile

WHEELS = {
    "mlflow": ("mlflow-3.17.2-py3-none-any.whl",),
    "numpy": ("numpy-2.3-cp311-cp311-macosx_11_0_arm64.whl", "numpy-2.3-cp311-cp311-manylinux_2_28_x86_64.whl"),
    "pyyaml-ft": (),
    "plotly": ("plotly-6-py3-none-any.whl",),
    "six": ("six-1.17.0-py2.py3-none-any.whl",),
    "uv-like": ("uv_like-1-py3-none-musllinux_1_1_i686.whl",),
    "wrapt": ("wrapt-1-cp311-cp311-win_amd64.whl", "wrapt-1-py3-none-any.whl"),
}


def test_what_is_compiled_is_large_and_so_is_mlflow() -> None:
    """
    For one platform is enough; what has no wheel is built where it is installed, and nobody knows.

    Where the lock says how large it is, five megabytes are large, too.
    """
    tables = ['version = 1\nrequires-python = ">=3.11"\n']
    for name, files in WHEELS.items():
        source = 'source = { registry = "https://packages.example/simple" }'
        wheels = ", ".join(f'{{ url = "https://packages.example/{file}", size = {len(name)}000000 }}' for file in files)
        tables.append(f'[[package]]\nname = "{name}"\nversion = "1"\n{source}\nwheels = [{wheels}]\n')
    lock = read_lockfile("\n".join(tables).encode())

    found = large_packages(lock.packages) & WHEELS.keys()

    assert {"mlflow", "numpy", "plotly", "uv-like", "wrapt"} == found
