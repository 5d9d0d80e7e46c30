"""
What do MLflow's stores and models answer, asked with the user's own packages?

An island: standard library and mlflow only, importable by the oldest Python that a supported MLflow runs on, and
nothing of it is imported by the rest of the program. Started as `PYTHON -I <this folder> VERB RESPONSE_FILE`, with the
request as JSON on standard input; `__main__.py` says the rest.
"""
