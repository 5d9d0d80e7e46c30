"""Starts the command line: `python -I -m mlflow_uv STEP`."""

import gc

if __name__ == "__main__":
    gc.disable()  # until everything is imported: see surfaces/collection.py
    try:
        from .surfaces.cli import main
    except KeyboardInterrupt:  # Ctrl-C while this program is imported: nothing has been started yet
        raise SystemExit(130) from None
    raise SystemExit(main())
