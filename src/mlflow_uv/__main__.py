"""Starts the command line: `python -I -m mlflow_uv STEP`."""

if __name__ == "__main__":
    try:
        from .surfaces.cli import main
    except KeyboardInterrupt:  # Ctrl-C while this program is imported: nothing has been started yet
        raise SystemExit(130) from None
    raise SystemExit(main())
