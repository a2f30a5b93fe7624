# syntax=docker/dockerfile:1
#
#   docker build -t dcm .
#   docker run -d --name dcm -v dcm-state:/var/lib/dcm -e DC_MANAGER_NAME=zg-01 dcm
#   docker exec dcm dcm status
#
# Your apps: a Dockerfile of your own with FROM dcm, COPY --chown=dcm . /srv, and RUN pip install -r requirements.txt
# (see compose.yaml, which mounts a directory instead).

# Alpine's Rust makes a static binary (musl) that runs in any image.
ARG RUST=1-alpine3.22
ARG PYTHON=3.13-slim-bookworm

FROM rust:${RUST} AS build
RUN apk add --no-cache gcc make musl-dev
WORKDIR /src
COPY Cargo.toml Cargo.lock README.md LICENSE ./
COPY .cargo .cargo
COPY benches benches
COPY examples examples
COPY migrations migrations
COPY python python
COPY src src
# At a fixed address: each run has a shim, which is this program, and relocating it would cost each of them memory.
ENV RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static"
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin dcm && install -D target/release/dcm /out/dcm

FROM python:${PYTHON}
# tzdata: the zones of the host for what apps write; dcm has its own for schedules. curl is for apps and for people.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /srv --no-create-home dcm \
    && install -d -o dcm -g dcm -m 0700 /var/lib/dcm \
    && install -d -o dcm -g dcm /srv /etc/dcm
COPY --from=build /out/dcm /usr/local/bin/dcm
COPY python /usr/local/share/dcm/python
RUN pip install --no-cache-dir /usr/local/share/dcm/python

# Logs, run directories and the embedded database: a container that is replaced must not lose them, since how runs ended
# is in them until it is in the database.
ENV DC_STATE_DIR=/var/lib/dcm
# dcm is process 1 and reaps what others leave; said here too for docker run --init, where it is not.
ENV DC_STOP_APPS_ON_EXIT=true
ENV DC_STOP_APPS_WITHIN=8
VOLUME /var/lib/dcm

USER dcm
WORKDIR /srv
STOPSIGNAL SIGTERM
# A database that is away does not make it unhealthy: it waits for it and apps go on.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["dcm", "managers", "check"]
ENTRYPOINT ["dcm"]
CMD ["--headless"]
