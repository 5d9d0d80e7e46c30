"""Keeps garbage collection from looking at what a program imports when it starts."""

import gc


def resume_collection() -> None:
    """Collect again what is created from now on, if the entry point had disabled it, and nothing that is there yet."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
