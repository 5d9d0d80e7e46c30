FROM registry.example:5000/cuda@sha256:0f
USER 0:0
ADD layers/001-python.tar.gz /
ADD layers/002-model.tar.gz /
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
ENV WORKERS=
ENV ATTESTATIONS="/attestations.jsonl"
ENV VERIFY="{\"sigstore\":{\"a\":\"\$x\\n\"}}"
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["/opt/venv/bin/python", "-I", "-S", "/opt/mlflow-uv/healthcheck.py"]
ENTRYPOINT ["/opt/venv/bin/python", "-I", "/opt/mlflow-uv"]
LABEL a="1"
LABEL b="a \"quoted\" \$HOME \\ text"
