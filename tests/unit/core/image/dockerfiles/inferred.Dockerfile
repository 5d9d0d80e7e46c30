FROM registry.example:5000/cuda@sha256:0f
USER 0:0
LABEL mlflow-uv.packages-sha256="9ac4a9e5"
RUN --mount=type=bind,source=installer,target=/dev/mlflow-uv/installer \
    --mount=type=bind,source=packages,target=/dev/mlflow-uv/packages \
    --mount=type=cache,target=/dev/mlflow-uv/cache \
    --mount=type=secret,id=ca,target=/dev/mlflow-uv/ca \
    --mount=type=secret,id=netrc,target=/dev/mlflow-uv/netrc \
    --mount=type=secret,id=network,target=/dev/mlflow-uv/network \
    ["python", "-I", "-B", "/dev/mlflow-uv/installer/install.py"]
ADD server.tar /
ADD model.tar /
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["/opt/venv/bin/python", "-I", "-S", "/opt/mlflow-uv/healthcheck.py"]
ENTRYPOINT ["/opt/venv/bin/python", "-I", "/opt/mlflow-uv"]
