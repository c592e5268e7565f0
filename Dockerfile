# The package in a container, by the steps of .ci/run.
#
#   docker build -t rlhf-lab .
#   docker run --rm -v "$PWD:/work" -w /work --cap-add SYS_ADMIN --security-opt seccomp=unconfined \
#     --security-opt apparmor=unconfined rlhf-lab grade submission.ipynb --out graded
#
# bubblewrap makes namespaces and mounts, which Docker's defaults forbid: hence the three options. `rlhf-lab doctor` in
# the container says which sandbox tier holds with the options that were given.
FROM python:3.11-slim-trixie AS system
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /rlhf-lab
COPY Makefile ./
COPY .ci/system .ci/
RUN make system && rm -rf /var/lib/apt/lists/*

FROM system AS grader
# The pinned packages are a layer of their own: a change of the code does not install them again.
COPY requirements.lock ./
RUN make .venv/.lock-stamp
COPY . .
RUN make setup
ENV PATH=/rlhf-lab/.venv/bin:$PATH
ENTRYPOINT ["rlhf-lab"]
CMD ["--help"]
