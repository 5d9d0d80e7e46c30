"""Docker and Podman are the same to us: what they build, serve and push."""

import hashlib
import io
import json
import os
import re
import secrets
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import tomli

from mlflow_uv.command.errors import ChainBroken, ToolFailed
from mlflow_uv.core.image.dockerfile import MODEL, SERVING, VENV
from mlflow_uv.tools.engines.client import Client
from mlflow_uv.tools.engines.docker import Docker
from mlflow_uv.tools.engines.engine import Build, Cache
from mlflow_uv.tools.engines.podman import Podman
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.uv.network import build_secrets
from tests.registries import digest_in, is_in, platforms_in, registry
from tests.waiting import happens

from .images import BASE, ImageBuilder, built, image_builder_in, inspect_image, remove_image
from .podman_storage import podman_storage_in
from .sample_project import AFTERWARDS_S, SampleProject

pytestmark = pytest.mark.engine
# Tests whose subject is the same in both ask the slower one with the extended suite only.
BOTH = ["docker", pytest.param("podman", marks=pytest.mark.extended)]


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory, registry_program: str) -> Iterator[str]:
    """A registry."""
    with registry(tmp_path_factory.mktemp("registry"), registry_program) as name:
        yield name


@pytest.fixture(scope="session")
def podman_settings(
    tmp_path_factory: pytest.TempPathFactory, host: str, podman_program: str
) -> Iterator[dict[str, str]]:
    """Podman with a store of its own, which knows the registry."""
    with podman_storage_in(tmp_path_factory.mktemp("podman"), podman_program, registry=host) as variables:
        yield variables


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageBuilder]:
    """Tools as a surface would make them."""
    with image_builder_in(tmp_path_factory.mktemp("builder")) as made:
        yield made


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Client:
    """Each engine that we know."""
    if request.param == "docker":
        return Docker(SystemRunner(), variables=dict(os.environ), on_line=print)
    return podman(request.getfixturevalue("podman_settings"))


def podman(settings: dict[str, str], on_line: Callable[[str], None] = print) -> Podman:
    """Podman, as it is set here, also for who starts it otherwise until the test ends."""
    os.environ.update(settings)
    return Podman(SystemRunner(), variables=dict(os.environ), on_line=on_line)


@pytest.fixture
def context(builder: ImageBuilder, request: pytest.FixtureRequest) -> Path:
    """A folder to build from."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    return builder.context(name, builder.model(f"model-{name}"), labels={"mlflow-uv.model-sha256": "30de1"})


def test_an_engine_builds_serves_and_pushes(engine: Client, context: Path, host: str) -> None:
    """
    What was built answers inside and says what it was labelled with; what was pushed has the digest of the registry.
    """
    image = engine.build(Build(context=context, secrets={}))
    name = f"{host}/cellar/{engine.name}:1"
    try:
        held = json.loads(engine.run_inside(image.id, f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL))
        engine.tag(image.id, name)
        digest = engine.push(name)
        layers = engine.layers(image.id)
        served = engine.serve(image.id, network=False)
        assert happens(lambda: served.code() is not None)
        served.stop()
    finally:
        remove_image(image.id, engine.name)

    kind, expected = digest_in(host, f"cellar/{engine.name}", "1")
    assert ([["grape", "1.0"]], "30de1") == (held["installed"], image.labels["mlflow-uv.model-sha256"])
    assert (expected, "amd64", "sha256:") == (digest, image.architecture, image.id[:7])
    assert ["ADD", "ADD"] == ["ADD" for layer in layers if "ADD " in layer.made_by][-2:]
    assert "manifest" in kind
    assert "No module named 'mlflow'" in served.log()


@pytest.mark.parametrize("engine", BOTH, indirect=True)
def test_other_packages_are_never_taken_for_these(engine: Client, builder: ImageBuilder) -> None:
    """
    What was installed for another list on the same base is not what is installed for this one, whoever caches.
    """
    held, images = [], []
    for name in ("grape", "plum"):
        model = builder.model(f"{engine.name}-{name}-model")
        context = builder.context(f"{engine.name}-{name}-context", model, package=name, crossing=True)
        images.append(engine.build(Build(context=context, secrets={})).id)
        result = engine.run_inside(images[-1], f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL)
        held += json.loads(result)["installed"]
    for image in images:
        remove_image(image, engine.name)

    assert [["grape", "1.0"], ["plum", "1.0"]] == held


@pytest.mark.parametrize("engine", BOTH, indirect=True)
def test_what_nobody_named_is_removed_and_what_somebody_named_stays(engine: Client, context: Path) -> None:
    """
    An image that turns out to be wrong leaves nothing, unless somebody else has it by a name.
    """
    image = engine.build(Build(context=context, secrets={}))
    kept_name = f"mlflow-uv-test-kept:{os.getpid()}"
    engine.tag(image.id, kept_name)
    engine.untag(image.id)
    kept = engine.image(image.id)

    subprocess.run((engine.name, "image", "rm", kept_name), check=True, capture_output=True)
    again = engine.build(Build(context=context, secrets={}))
    engine.untag(again.id)

    assert (image.id, None) == (kept and kept.id, engine.image(again.id))


@pytest.fixture(scope="session")
def two_machines(host: str, tmp_path_factory: pytest.TempPathFactory, podman_settings: dict[str, str]) -> str:
    """A base image for two architectures, in the registry; what is never run may be the same in both."""
    folder = tmp_path_factory.mktemp("base")
    with (folder / "base.tar").open("wb") as tar, created(BASE) as container:
        subprocess.run(("docker", "export", container), stdout=tar, check=True)
    (folder / "Dockerfile").write_text("FROM scratch\nADD base.tar /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n")
    return for_two_machines(folder, f"{host}/base:1", {**os.environ, **podman_settings})


def for_two_machines(folder: Path, name: str, variables: dict[str, str]) -> str:
    """Build a folder for two architectures and push it under a name."""
    for words in (
        # Without a cache: to it, two images from scratch with the same content are one.
        ("build", "--no-cache", "--platform=linux/amd64", "--manifest", name, folder),
        ("build", "--no-cache", "--platform=linux/arm64", "--manifest", name, folder),
        ("manifest", "push", "--all", name, f"docker://{name}"),
        ("manifest", "rm", name),
    ):
        subprocess.run(("podman", *words), check=True, capture_output=True, env=variables)
    return name


@pytest.mark.extended
def test_one_name_is_an_image_for_each_of_several_platforms(
    builder: ImageBuilder, host: str, two_machines: str, podman_settings: dict[str, str]
) -> None:
    """
    What is pushed is an index; each image in it holds the wheels of its own architecture, and nothing was emulated.
    """
    folder = builder.model("binary")
    context = builder.context("crossing", folder, requirements=binary_requirement(), base=two_machines, crossing=True)
    name = f"{host}/cellar/both:1"

    build = Build(context=context, secrets=secrets_of(builder), platforms=("linux/amd64", "linux/arm64"))
    with podman(podman_settings).candidate(build, name) as candidate:
        digest = candidate.push()

    kind, expected = digest_in(host, "cellar/both", "1")
    found = {}
    for architecture in ("amd64", "arm64"):
        words = ("docker", "pull", "--quiet", "--platform", f"linux/{architecture}", name)
        subprocess.run(words, check=True, capture_output=True)
        found[architecture] = (inspect_image(name)["Architecture"], machine_of_wheel(name))
        remove_image(name)
    assert ("application/vnd.oci.image.index.v1+json", expected) == (kind, digest)
    assert {"amd64": ("amd64", "x86-64"), "arm64": ("arm64", "aarch64")} == found


@pytest.mark.extended
def test_a_base_that_is_here_for_another_machine_is_fetched_for_this_one(engine: Client, two_machines: str) -> None:
    """
    Who built for another one has that under the name.
    """
    words = (engine.name, "pull", "--quiet", "--platform=linux/arm64", two_machines)
    subprocess.run(words, check=True, capture_output=True)
    before = engine.image(two_machines)

    found = engine.fetch(two_machines)

    assert ("arm64", "amd64") == (before and before.architecture, found.architecture)


@pytest.mark.extended
def test_one_command_pushes_an_image_for_each_platform(
    sample: SampleProject, host: str, two_machines: str, podman_settings: dict[str, str]
) -> None:
    """
    The digest that is put out and recorded is that of the list in the registry; the smoke test asks what is in it.
    """
    podman(podman_settings)
    name, platforms = f"{host}/cellar/wine:both", "linux/amd64,linux/arm64"
    flags = ("--engine", "podman", "--base-image", two_machines, "--platforms", platforms, "--push", "--image", name)

    result = sample.run("build-image", "--serving", "slim", *flags)
    tested = sample.run("smoke-test")
    kind, expected = digest_in(host, "cellar/wine", "both")
    listed = platforms_in(host, "cellar/wine", "both")
    again = podman(podman_settings).image(name)

    record = json.loads(sample.consumer.record.read_text())["image"]
    assert (0, 0, "tested") == (result.code, tested.code, tested.outputs["state"]), result.stderr + tested.stderr
    assert ("application/vnd.oci.image.index.v1+json", ["linux/amd64", "linux/arm64"]) == (kind, sorted(listed))
    assert (expected, expected, name) == (result.outputs["image-digest"], record["digest"], record["tag"])
    assert (again and again.id) == record["id"] == result.outputs["image-id"]


@pytest.mark.extended
def test_what_is_refused_is_in_no_registry(
    sample: SampleProject, host: str, two_machines: str, podman_settings: dict[str, str], tmp_path: Path
) -> None:
    """
    An image for several platforms, too, is compared before anybody can pull it; no list of it and no name stay here.
    """
    engine = podman(podman_settings)
    (tmp_path / "Dockerfile").write_text(f"FROM {two_machines}\nCOPY Dockerfile /opt/ml/model/MLmodel\n")
    base = for_two_machines(tmp_path, f"{host}/spoiled:1", {**os.environ, **podman_settings})
    name, platforms = f"{host}/cellar/refused:1", "linux/amd64,linux/arm64"
    flags = ("--engine", "podman", "--base-image", base, "--platforms", platforms, "--push", "--image", name)

    result = sample.run("build-image", "--serving", "slim", *flags)

    words = ("podman", "images", "--format", "{{.Repository}}")
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    left = [one for one in listed if re.fullmatch(r"localhost/mlflow-uv-[0-9a-f]{12}", one)]
    assert (18, True, []) == (result.code, "/opt/ml/model" in result.stderr, left), result.stderr
    assert (None, False) == (engine.image(name), is_in(host, "cellar/refused", "1"))


@pytest.mark.extended
def test_a_build_that_is_cancelled_half_way_leaves_nothing(
    sample: SampleProject, engine: Client, image: str, tmp_path: Path
) -> None:
    """
    Packages are being installed: what does it ends, and leaves no container, no name and no folder; the next is whole.
    """
    mark, base = f"MLFLOW_UV_TEST={secrets.token_hex(8)}", f"localhost/{image}-base"
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nENV {mark}\n")
    subprocess.run((engine.name, "build", "--quiet", "--tag", base, tmp_path), check=True, capture_output=True)
    flags = ("--engine", engine.name, "--builder", "engine", "--base-image", base, "--image", f"localhost/{image}")

    before = left_by(engine.name, sample, base)
    result = sample.cancel("build-image", *flags, when=lambda: "pip install" in working(mark))
    ended = happens(lambda: not working(mark), within_s=AFTERWARDS_S)
    after = left_by(engine.name, sample, base)
    named = engine.image(f"localhost/{image}")
    again = sample.run("build-image", *flags)
    for made in (f"localhost/{image}", base):
        remove_image(made, engine.name)

    assert (143, True, None) == (result.code, ended, named)
    assert before == after
    assert 0 == again.code, again.stderr


@pytest.mark.extended
def test_docker_builds_for_another_architecture_than_its_own(
    builder: ImageBuilder, host: str, two_machines: str
) -> None:
    """
    One platform that is not the machine's: the packages are installed here, for there.
    """
    context = builder.context(
        "foreign", builder.model("foreign-model"), requirements=binary_requirement(), base=two_machines, crossing=True
    )
    engine = Docker(SystemRunner(), variables=dict(os.environ), on_line=print)

    image = engine.build(Build(context=context, secrets=secrets_of(builder), platforms=("linux/arm64",)))
    try:
        found = image.architecture, machine_of_wheel(image.id)
        both = Build(context=context, secrets={}, platforms=("linux/amd64", "linux/arm64"))
        with pytest.raises(ToolFailed) as caught, engine.candidate(both, f"{host}/cellar/never:1"):
            pass
    finally:
        remove_image(image.id)

    assert ("arm64", "aarch64") == found
    assert "one platform at a time" in caught.value.what


@pytest.mark.extended
def test_layers_that_another_machine_built_are_taken_from_a_registry(
    builder: ImageBuilder, host: str, podman_settings: dict[str, str]
) -> None:
    """
    `cache-to` keeps them, `cache-from` finds them, where nothing is left here.
    """
    engine = podman(podman_settings)
    context = builder.context("cached", builder.model("cached-model"))
    cache = Cache(source=f"{host}/cellar/cache", target=f"{host}/cellar/cache")
    lines: list[str] = []
    first = engine.build(Build(context=context, secrets={}, cache=cache))
    subprocess.run(("podman", "image", "rm", "--force", first.id), check=True, capture_output=True)
    subprocess.run(("podman", "image", "prune", "--force"), check=True, capture_output=True)

    second = podman(podman_settings, lines.append).build(Build(context=context, secrets={}, cache=cache))
    remove_image(second.id, "podman")

    assert [] == [line for line in lines if "Installed 1 package" in line]
    assert any("Cache pulled" in line for line in lines)


@pytest.mark.extended
def test_podman_makes_the_same_layers_again(builder: ImageBuilder, podman_settings: dict[str, str]) -> None:
    """
    Without a cache the digests of all layers are equal: it leaves a `/run` of its own, whose date is told.
    """
    podman(podman_settings)
    context = builder.context("again", builder.model("model-again"))

    layers = []
    for _ in range(2):
        with built(context, "--no-cache", engine="podman") as image:
            layers.append(inspect_image(image, "podman")["RootFS"]["Layers"])

    assert layers[0] == layers[1]


@pytest.mark.extended
def test_podman_takes_a_model_all_the_way(sample: SampleProject, podman_settings: dict[str, str]) -> None:
    """
    Where it is the engine that was chosen, it builds, is asked, serves the smoke test, and is recorded.
    """
    name = "localhost/mlflow-uv-sample:podman"

    built = sample.run("build-image", "--engine", "podman", "--image", name, variables=podman_settings)
    tested = sample.run("smoke-test", variables=podman_settings)

    record = json.loads(sample.consumer.record.read_text())["image"]
    assert (0, 0, "tested", "podman") == (built.code, tested.code, tested.outputs["state"], record["engine"])
    assert record["id"] == id_in_podman(name, podman_settings)


def id_in_podman(name: str, settings: dict[str, str]) -> str:
    """The id of an image in Podman's store."""
    found = podman(settings).image(name)
    return found.id if found else "nothing"


FAKE = """\
#!/bin/sh
echo "$*" >> "{told}"
case "$*" in
buildx\\ inspect*) echo "Driver:        docker-container";;
*inspect*) echo '[{{"Id": "sha256:{digest}", "Config": {{}}, "Size": 1}}]';;
*metadata-file*) while [ "$1" != --metadata-file ]; do shift; done
    echo '{{"containerimage.digest": "sha256:{digest}"}}' > "$2";;
esac
"""


@pytest.mark.parametrize("accepted", [True, False])
def test_docker_is_told_of_platforms_caches_and_secrets(tmp_path: Path, *, accepted: bool) -> None:
    """
    What the engine here cannot do is a matter of words: several platforms at once, and caches of any kind.

    What is pushed is compared by its digest, and gets its name in the registry only where it is accepted.
    """
    told, program = tmp_path / "told", tmp_path / "docker"
    program.write_text(FAKE.format(told=told, digest="0" * 64))
    program.chmod(0o755)
    engine = Docker(SystemRunner(), variables={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, on_line=print)
    build = Build(
        context=tmp_path,
        secrets={"netrc": Path("/home/me/.netrc")},
        platforms=("linux/amd64", "linux/arm64"),
        cache=Cache(source="type=gha", target="type=registry,ref=host/cache,mode=max"),
    )

    digest = f"sha256:{'0' * 64}"
    with suppress(ChainBroken), engine.candidate(build, "host:5000/wine:1") as candidate:
        if not accepted:
            raise ChainBroken("image", why="it is another one")
        assert digest == candidate.push()

    first, *others = (
        line for line in told.read_text().splitlines() if not line.startswith(("version ", "buildx inspect"))
    )
    assert (
        "buildx build --progress=plain --secret id=netrc,src=/home/me/.netrc --platform linux/amd64,linux/arm64 "
        "--cache-from type=gha --cache-to type=registry,ref=host/cache,mode=max "
        "--output type=image,name=host:5000/wine,push-by-digest=true,name-canonical=true,push=true"
    ) == first.partition(" --metadata-file ")[0]
    named = f"buildx imagetools create --tag host:5000/wine:1 host:5000/wine@{digest}"
    removed = [f"image inspect -- {digest}", f"image rm -- {digest}"]
    looked = [f"pull --quiet host:5000/wine@{digest}", f"image inspect -- host:5000/wine@{digest}"]
    assert [*looked, *([named] if accepted else removed)] == others


def working(mark: str) -> str:
    """The command lines of everything on this machine that runs with a variable."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended in this moment
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return "\n".join(found)


def left_by(engine: str, sample: SampleProject, base: str) -> tuple[list[str], list[str]]:
    """The containers of a base, or all of Podman's own store, those in which it builds, too; folders but its cache."""
    which = ("--external",) if engine == "podman" else ("--filter", f"ancestor={base}")
    words = (engine, "ps", "--all", *which, "--format", "{{.ID}} {{.Image}}")
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return found, sorted(path.name for path in sample.temporary.iterdir() if path.name != "buildah-cache")


def binary_requirement() -> str:
    """A package that is another wheel on each architecture, with the hashes of all."""
    lock = tomli.loads((Path(__file__).parents[2] / "uv.lock").read_text())
    (found,) = (package for package in lock["package"] if package["name"] == "pyyaml")
    hashes = " ".join(f"--hash={wheel['hash']}" for wheel in found["wheels"])
    return f"pyyaml=={found['version']} {hashes}\n"


def secrets_of(builder: ImageBuilder) -> dict[str, Path]:
    """What reaches an index from here."""
    folder = Path(tempfile.mkdtemp(dir=builder.scratch))
    return dict(build_secrets(folder, builder.tools.host.variables, {}))


@contextmanager
def created(image: str) -> Iterator[str]:
    """A container that is never started."""
    container = subprocess.run(("docker", "create", image), capture_output=True, text=True, check=True).stdout.strip()
    try:
        yield container
    finally:
        subprocess.run(("docker", "rm", container), check=True, capture_output=True)


def machine_of_wheel(image: str) -> str:
    """The machine that the compiled part of PyYAML in an image is for, as its ELF header says."""
    with created(image) as container:
        words = ("docker", "cp", f"{container}:{VENV}/lib/python3.11/site-packages/yaml", "-")
        archive = subprocess.run(words, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        (library,) = (one for one in tar if one.name.endswith(".so"))
        file = tar.extractfile(library)
        assert file is not None
        return {62: "x86-64", 183: "aarch64"}[int.from_bytes(file.read(20)[18:20], "little")]
