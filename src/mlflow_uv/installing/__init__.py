"""
Contains programs that run inside a base image or a container, with its Python and the standard library only.

Each file is a standalone program.
"""
