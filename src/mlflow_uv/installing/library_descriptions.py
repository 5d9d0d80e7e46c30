"""
Describes the shared libraries of packages, so that they can be examined later without their files.

`python -I -B library_descriptions.py --describe FOLDER` prints as JSON {path: description} for each file in a folder
that is named as a library, with paths in the folder. Each is {package, truncated}, and for a library {machine, name,
needed, folders, versions: [[library, name]], marks} too; `marks` are the versions of symbols in its string table that
tell whether a copy fits.

`python -I -B library_descriptions.py --examine` reads {names, libraries: {path: description}} from standard input, in
which `names` are those of a system's libraries, and prints {lacking: [[package, file, library, path]], needed:
[[package, file, machine, symbols, version]], truncated: [[package, file]]}. `lacking` is as `libraries.py --compare
--elsewhere` prints it, with the path of the copy. `needed` are for each package and architecture the newest version of
the symbols `GLIBC`, `GLIBCXX` and `CXXABI` that a file of it needs, each `GLIBC_ABI_*`, without a version, and a row
without symbols.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

TOP = "/"  # in `libraries.py` all paths are absolute


def libraries_program() -> Any:
    """The module `libraries` beside this one: an isolated interpreter does not import from its program's folder."""
    spec = importlib.util.spec_from_file_location("libraries", Path(__file__).with_name("libraries.py"))
    if spec is None or spec.loader is None:
        raise ImportError("libraries.py is not beside this program")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main(arguments: "list[str]") -> None:
    """Print what was asked for."""
    answer = describe(Path(arguments[1])) if arguments[0] == "--describe" else examine(json.load(sys.stdin))
    json.dump(answer, sys.stdout)


def describe(folder: Path) -> "dict[str, dict[str, Any]]":
    """The description of each file in a folder that is named as a library."""
    program = libraries_program()
    owners = program.owners_in(folder)
    return {
        str(path.relative_to(folder)): {
            "package": owners.get(str(path), path.parent.name),
            "truncated": program.is_truncated(path),
            **_dynamic(program, path),
        }
        for path in program.named_as_libraries(folder)
    }


def examine(request: "dict[str, Any]") -> "dict[str, list[list[str]]]":
    """What described libraries lack and need, and which of them are truncated."""
    program = libraries_program()
    described = sorted((Path(TOP, path), each) for path, each in request["libraries"].items())
    libraries = [_library(program, path, each) for path, each in described if "machine" in each]
    owners = {str(path): each["package"] for path, each in described}
    paths = frozenset(owners)
    rows = program.compared_libraries(libraries, owners, set(request["names"]), paths)
    return {
        "lacking": [[*row[:3], row[3].removeprefix(TOP)] for row in rows],
        "needed": program.needed_symbols(libraries, owners),
        "truncated": [[each["package"], path.name] for path, each in described if each["truncated"]],
    }


def _dynamic(program: Any, path: Path) -> "dict[str, Any]":
    """What the dynamic section of a library says; nothing for another file."""
    library = program.read(path)
    if library is None:
        return {}
    return {
        "machine": library.machine,
        "name": library.name,
        "needed": list(library.needed),
        "folders": list(library.folders),
        "versions": sorted(set(map(tuple, library.versions))),
        "marks": sorted({mark.decode("ascii") for mark in program.VERSIONS.findall(library.strings)}),
    }


def _library(program: Any, path: Path, each: "dict[str, Any]") -> Any:
    return program.Library(
        path=path,
        machine=each["machine"],
        name=each["name"],
        needed=tuple(each["needed"]),
        folders=tuple(each["folders"]),
        strings="".join(f"\0{mark}\0" for mark in each["marks"]).encode(),
        versions=tuple((library, name) for library, name in each["versions"]),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
