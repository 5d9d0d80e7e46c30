"""Rules about the files of a project. A hook imports one of them in milliseconds, so none imports `dataclasses`."""
