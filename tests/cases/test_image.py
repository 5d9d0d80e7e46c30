"""What is in an image is the same whenever and wherever it is built, on whatever has the model's Python."""

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.core.image.dockerfile import MODEL, SERVING, VENV
from mlflow_uv.core.model.model_files import WHEELS
from mlflow_uv.ops.image.build import inspect_base
from mlflow_uv.ops.image.environment import Needs
from mlflow_uv.tools.engines.build_context import locked_line
from mlflow_uv.tools.uv.network import build_secrets
from tests import projects

from .images import (
    BASE,
    ImageBuilder,
    LayerEntry,
    built,
    digest_of,
    image_builder_in,
    inspect_image,
    layer_entries,
    run_in,
    saved_layers,
)

pytestmark = pytest.mark.engine
# Everything that CPython needs, and nothing else: no shell, no package manager, no user, no /tmp.
BARE = """\
FROM {base} AS whole
RUN mkdir -p /bare/usr/lib /bare/usr/bin /bare/usr/local/bin \\
    && cp -a /usr/lib/python3* /bare/usr/lib/ && cp -a /usr/bin/python3* /bare/usr/bin/ \\
    && cp -a /usr/local/bin/python* /bare/usr/local/bin/ \\
    && ldd /usr/bin/python3 /usr/lib/python3*/lib-dynload/*.so | grep -o '/[^ ]*\\.so[^ :]*' | sort -u \\
       | xargs -I FILE cp --parents -L FILE /bare
FROM scratch
COPY --from=whole /bare/ /
ENV PATH=/usr/local/bin:/usr/bin
USER 1234
"""
# Somebody else's settings, model and module, where ours would be looked for first.
MEDDLING = """\
FROM {base}
ENV PORT=9000 MLFLOW_UV_MODEL=/nowhere TARGETARCH=arm64
STOPSIGNAL SIGQUIT
RUN mkdir -p /opt/ml/model /opt/tools && touch /opt/ml/model/MLmodel /opt/tools/huge \\
    && touch "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')/grape.py"
"""


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageBuilder]:
    """Tools as a surface would make them."""
    with image_builder_in(tmp_path_factory.mktemp("builder")) as made:
        yield made


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[str]:
    """A base image with a Python and no shell."""
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "Dockerfile").write_text(BARE.format(base=BASE))
    name = f"mlflow-uv-test-bare:{os.getpid()}"
    with built(tmp_path / "bare", "--tag", name):
        yield name


def ours(image: str, folder: Path, base: str = BASE) -> list[dict[str, LayerEntry]]:
    """The entries of the layers above the base's."""
    layers = saved_layers(image, folder)
    return [layer_entries(layer) for layer in layers[len(inspect_image(base)["RootFS"]["Layers"]) :]]


@pytest.mark.extended
def test_built_again_elsewhere_and_later_every_file_is_the_same(builder: ImageBuilder, tmp_path: Path) -> None:
    """
    Without any cache, from another folder with other dates: names, bytes, sizes, modes, owners and times are equal.
    """
    first = builder.context("first", builder.model("model-1"))
    copied = builder.model("elsewhere/and/later/model-1")
    for path in (copied, *copied.rglob("*")):
        os.utime(path, (1, 1))
    second = builder.context("second", copied)

    with built(first, "--no-cache") as one, built(second, "--no-cache") as other:
        layers = ours(one, tmp_path / "one"), ours(other, tmp_path / "other")

    differing = [
        (name, mine.get(name), theirs.get(name))
        for mine, theirs in zip(*layers, strict=True)
        for name in mine.keys() | theirs.keys()
        if mine.get(name) != theirs.get(name)
    ]
    assert [] == differing
    assert {1.0 * 315532800} == {
        entry[5] for layer in layers[0] for name, entry in layer.items() if f"/{name}".startswith("/opt")
    }


def test_a_layer_holds_what_it_is_for_and_nothing_else(builder: ImageBuilder, tmp_path: Path) -> None:
    """
    Environment and bytecode, then the server, then the model: no uv, no cache, no mount, no list, no wheel.
    """
    with built(builder.context("content", builder.model("model-2"))) as image:
        packages, server, model, *rest = ours(image, tmp_path / "saved")

    beside = {name for name in packages if not f"/{name}".startswith(VENV) and "__pycache__" not in name}
    assert {"opt"} == {name for name in beside if not name.startswith("usr")}
    assert all(packages[name][0] == b"5" for name in beside), "folders that hold bytecode"
    assert not [name for name in packages if name.endswith((".whl", "/uv", "requirements.txt", ".lock"))]
    assert {"opt", SERVING[1:]} == {"/".join(name.split("/")[:2]) for name in server}
    assert {"opt", MODEL[1:]} == {"/".join(name.split("/")[:2]) for name in model}
    assert [{}] * len(rest) == [layer for layer in rest if not layer]


def test_another_model_changes_the_layer_of_the_model_alone(builder: ImageBuilder) -> None:
    """
    The layers below have the same digests, so that nothing but the model is built, pushed and pulled again.
    """
    first = builder.context("before", builder.model("model-3"))
    second = builder.context("after", builder.model("model-4", answer="43"))

    with built(first) as one, built(second) as other:
        layers = [inspect_image(image)["RootFS"]["Layers"] for image in (one, other)]

    differing = [at for at, (mine, theirs) in enumerate(zip(*layers, strict=True)) if mine != theirs]
    above = len(inspect_image(BASE)["RootFS"]["Layers"])
    assert [above + 2] == differing


@pytest.mark.extended
def test_another_small_package_leaves_the_large_ones_where_they_are(builder: ImageBuilder, tmp_path: Path) -> None:
    """
    Their layer has the same digest, and nothing of it comes again in the one above.
    """
    below, layers, held = locked_line(builder.tools.host.ours, "packaging"), [], []
    words = words_for_the_network(builder, tmp_path)
    for package in ("grape", "plum"):
        context = builder.context(f"on-{package}", builder.model(f"on-{package}-m"), package=package, below=below)
        with built(context, *words) as image:
            layers.append(inspect_image(image)["RootFS"]["Layers"])
            held.append(json.loads(run_in(image, f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL)))
            large, small, *_ = ours(image, tmp_path / package)

    above = len(inspect_image(BASE)["RootFS"]["Layers"])
    again = [name for name in large.keys() & small.keys() if small[name][0] != tarfile.DIRTYPE]
    assert [["grape", "packaging"], ["packaging", "plum"]] == [[name for name, _ in one["installed"]] for one in held]
    assert (layers[0][above], True) == (layers[1][above], layers[0][above + 1] != layers[1][above + 1])
    assert [] == again
    assert {"opt"} == {name.split("/")[0] for name in small}


def test_a_file_that_takes_the_place_of_a_large_package_is_what_runs(builder: ImageBuilder, tmp_path: Path) -> None:
    """
    Two packages may have one file: that of the layer above is there, with its own bytecode and not the other's.
    """
    wheel = projects.wheel(tmp_path, "grape", "1.0", packaging="__version__ = 'of grape'\n")
    model = builder.model("model-11")
    (model / WHEELS).mkdir(parents=True)
    shutil.copy(wheel, model / WHEELS)
    listed = f"{WHEELS}/{wheel.name} --hash=sha256:{digest_of(wheel)}\n"
    below = locked_line(builder.tools.host.ours, "packaging")

    context = builder.context("same-file", model, requirements=listed, below=below)
    with built(context, *words_for_the_network(builder, tmp_path)) as image:
        result = run_in(image, f"{VENV}/bin/python", "-I", "-c", "import packaging; print(packaging.__version__)")

    assert "of grape\n" == result


def words_for_the_network(builder: ImageBuilder, folder: Path) -> list[str]:
    """By which a build reaches an index from here."""
    network = build_secrets(folder, builder.tools.host.variables, {})
    return [word for name, path in network.items() for word in ("--secret", f"id={name},src={path}")]


def test_what_looks_the_same_is_not_taken_for_it(builder: ImageBuilder) -> None:
    """
    BuildKit knows the files of a folder by name, size and date: another model of the same size is another model.
    """
    first = builder.context("one/context", builder.model("one/model", answer="42"))
    second = builder.context("two/context", builder.model("two/model", answer="43"))

    with built(first) as one, built(second) as other:
        answers = [run_in(image, "cat", f"{MODEL}/code/answer.txt") for image in (one, other)]

    assert ["42", "43"] == answers


def test_bytecode_is_there_and_python_believes_it(builder: ImageBuilder) -> None:
    """
    Of packages and of the standard library: nothing is compiled at the start, and no date is compared.
    """
    program = "import json, importlib.util, grape; print(json.dumps([m.__cached__ for m in (json, grape)]))"
    with built(builder.context("bytecode", builder.model("model-5"))) as image:
        caches = json.loads(run_in(image, f"{VENV}/bin/python", "-I", "-c", program))
        flags = run_in(image, f"{VENV}/bin/python", "-I", "-c", f"for p in {caches}: print(open(p, 'rb').read()[4])")

    assert ["1", "1"] == flags.split(), "unchecked hash (PEP 552)"


def test_what_nobody_imports_is_there_without_bytecode(builder: ImageBuilder) -> None:
    """
    Such a package can be imported all the same, and is compiled then.
    """
    context = builder.context("idle", builder.model("model-8"), crossing=True)  # which is sooner done
    (context / "packages" / "idle.txt").write_text("grape\n")
    program = "import grape, os; print(os.path.exists(grape.__file__), os.path.exists(grape.__cached__))"

    with built(context) as image:
        result = run_in(image, f"{VENV}/bin/python", "-I", "-c", program)

    assert "True False\n" == result


@pytest.mark.extended
def test_a_base_without_a_shell_will_do(builder: ImageBuilder, bare: str) -> None:
    """
    Nothing but a Python is asked of a base image, whoever its user is.
    """
    context = builder.context("on-bare", builder.model("model-6"), base=bare)

    with built(context) as image:
        result = run_in(image, f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL)
        shell = shutil.which("docker") and subprocess.run(
            ("docker", "run", "--rm", "--entrypoint=/bin/sh", image, "-c", "true"), capture_output=True, check=False
        )

    inventory = json.loads(result)
    assert [["grape", "1.0"]] == inventory["installed"]
    assert "code/answer.txt" in [path for path, _ in inventory["model"]]
    assert shell
    assert 127 == shell.returncode


@pytest.mark.extended
def test_a_base_that_calls_its_python_otherwise_will_do(builder: ImageBuilder, tmp_path: Path) -> None:
    """
    It is asked what it has, `python3` or `python`, and that is what installs.
    """
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN rm /usr/local/bin/python3*\nENV PATH=/usr/local/bin\n")
    needs = Needs(model=tmp_path, requirements=None, wheels=(), python="3.11.9")
    engine = builder.tools.engines.named("docker")

    base = f"mlflow-uv-test-otherwise:{os.getpid()}"
    with built(tmp_path, "--tag", base):
        python = inspect_base(base, needs, engine, builder.tools).python
        with built(builder.context("otherwise", builder.model("model-9"), base=base, python=python)) as image:
            result = run_in(image, f"{VENV}/bin/python", "-I", "-c", "import grape; print('here')")

    assert ("python", "here\n") == (python, result)


@pytest.mark.extended
def test_what_a_base_brings_along_does_not_steer_the_server(builder: ImageBuilder, tmp_path: Path) -> None:
    """
    Its variables are empty again, its signal to stop is ours; what cannot be undone, the inventory tells.

    What lies beside ours is not even touched: a layer would hold it again.
    """
    (tmp_path / "Dockerfile").write_text(MEDDLING.format(base=BASE))
    base, model = f"mlflow-uv-test-meddling:{os.getpid()}", builder.model("model-10")
    with built(tmp_path, "--tag", base):
        known = builder.tools.engines.named("docker").fetch(base)
        with built(builder.context("meddling", model, base=base, variables=known.variables)) as image:
            config = inspect_image(image)["Config"]
            layers = ours(image, tmp_path / "saved", base)
            result = json.loads(run_in(image, f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL))

    assert [] == [name for layer in layers for name in layer if name.startswith(("opt/tools", "opt/ml/"))]
    assert ("SIGTERM", True) == (config["StopSignal"], {"PORT=", "MLFLOW_UV_MODEL="} <= set(config["Env"]))
    assert ("/opt/ml/model", [["grape", "1.0"]]) == (result["serves"], result["installed"])
    assert [("grape", "grape.py")] == [(name, Path(place).name) for name, place in result["elsewhere"]]


def test_an_image_says_who_runs_what(builder: ImageBuilder) -> None:
    """
    Not root, the server as its first process, a health check, and no word that depends on a machine.
    """
    with built(builder.context("words", builder.model("model-7"), labels={"a": 'x "y" $HOME \\z'})) as image:
        config = inspect_image(image)["Config"]

    assert ("10001:10001", [f"{VENV}/bin/python", "-I", SERVING]) == (config["User"], config["Entrypoint"])
    assert ["CMD", f"{VENV}/bin/python", "-I", "-S", f"{SERVING}/healthcheck.py"] == config["Healthcheck"]["Test"]
    assert ('x "y" $HOME \\z', {"8080/tcp": {}}) == (config["Labels"]["a"], config["ExposedPorts"])
