# One image for every process of Millrace: the argument picks it (gateway, edge, worker NAME, up).
# `docker build .` makes it; `--target s3` makes versitygw with the repair that it needs.
ARG PYTHON=3.11.14-slim-bookworm
ARG GO=1.26.8-bookworm

FROM python:${PYTHON} AS wheel
WORKDIR /source
COPY requirements/build.txt requirements/
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/build.txt
COPY . .
RUN pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels .

FROM python:${PYTHON} AS packages
RUN python -m venv /opt/millrace
COPY requirements/cluster.txt .
RUN /opt/millrace/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r cluster.txt
COPY --from=wheel /wheels /wheels
RUN /opt/millrace/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl

FROM python:${PYTHON} AS base
RUN useradd --uid 10001 --no-create-home millrace && install --directory --owner millrace /data
COPY --from=packages /opt/millrace /opt/millrace
ENV PATH=/opt/millrace/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
VOLUME /data

FROM golang:${GO} AS versitygw
ARG VERSITYGW=1.8.0
RUN CGO_ENABLED=0 GOBIN=/out go install -trimpath \
    github.com/versity/versitygw/cmd/versitygw@v${VERSITYGW}

# Uploads that a crash hid are given back before each start (docs/operations.md).
FROM base AS s3
COPY --from=versitygw /out/versitygw /usr/local/bin/versitygw
EXPOSE 7070
ENTRYPOINT ["sh", "-euc", "\
    mkdir -p /data/buckets /data/versions /data/accounts; \
    python -m millrace.deploy.stack repair /data/buckets; \
    exec versitygw --port :7070 --region us-east-1 --health /healthz --keep-alive --quiet \
        --iam-dir /data/accounts posix --versioning-dir /data/versions /data/buckets"]

FROM base AS millrace
ENV MILLRACE_HOST=0.0.0.0 MILLRACE_DATA_DIR=/data
EXPOSE 8080 8081
ENTRYPOINT ["millrace"]
CMD ["up"]
