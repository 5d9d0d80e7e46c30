"""
Queries MLflow's stores and models in the user's interpreter, with the user's own packages.

The modules import only the standard library and mlflow, run on the oldest Python that a supported MLflow supports, and
are never imported by the rest of the program. They are started as `PYTHON -I <this folder> VERB RESPONSE_FILE`, with
the request as JSON on standard input; see `__main__.py`.
"""
