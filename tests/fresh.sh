#!/usr/bin/env bash
# `make fresh`: the README's two commands as a newcomer gives them, in a container that has Python, make and git and no
# more, from a clone of what is committed, by a user without rights. So no step of the installation can hide on a
# developer's machine. Variables, all optional:
#   FRESH            which of the two: demo, test or both (default both)
#   ROUNDS           of the demo (default 10)
#   PYTHON_IMAGE     what the container is made of (default python:3.11-slim-bookworm)
#   TORCH_INDEX_URL  as in the Makefile; a folder wheelhouse/ is copied into the clone
set -euo pipefail
cd "$(dirname "$0")/.."

case ${FRESH:=both} in demo | test | both) ;; *) echo "FRESH is demo, test or both, not $FRESH" >&2; exit 2 ;; esac
if ! docker info >/dev/null 2>&1; then
  echo "skipped: no container engine answers here (docker info)"
  exit 0
fi

image=rlswarm-fresh container=rlswarm-fresh-$$ scratch=$(mktemp -d) name= times=()
finish() {
  local code=$?
  docker rm --force "$container" >/dev/null 2>&1 || :
  rm -rf "$scratch"
  [ $code = 0 ] || echo "fresh: failed: $name (before: ${times[*]} in all $SECONDS s)" >&2
}
trap finish EXIT
trap 'exit 130' INT TERM

phase() {  # phase NAME FUNCTION
  local since=$SECONDS
  name=$1
  echo "fresh: $name"
  $2 &  # in the background, as bash heeds no signal while it waits for a command in the foreground
  wait $!
  times+=("$name $((SECONDS - since)) s,")
}

inside() { docker exec --workdir /home/user/rlswarm "$container" "$@"; }

build() {  # What has a compiler is not bare.
  docker build --quiet --tag "$image" - >/dev/null <<EOF
FROM ${PYTHON_IMAGE:-python:3.11-slim-bookworm}
RUN apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends make git >/dev/null \
 && rm -rf /var/lib/apt/lists/* && ! command -v cc && useradd --create-home user
USER user
WORKDIR /home/user
EOF
}

clone() {  # Copied, not mounted: the engine may be another machine, and the files another user's.
  git clone --quiet --bare --depth 1 "file://$PWD" "$scratch/rlswarm.git"
  chmod -R a+rX "$scratch"
  # npm trusts what the image trusts, as pip does: that matters where a proxy has a certificate of its own.
  docker run --detach --init --memory 8g --env TORCH_INDEX_URL --env PYTEST_ADDOPTS --env NODE_USE_SYSTEM_CA=1 \
    --name "$container" "$image" sleep infinity >/dev/null
  docker cp "$scratch/rlswarm.git" "$container:/srv/" >/dev/null
  docker exec "$container" git config --global --add safe.directory '*'
  docker exec "$container" git clone --quiet /srv/rlswarm.git
  if [ -d wheelhouse ]; then docker cp wheelhouse "$container:/home/user/rlswarm/" >/dev/null; fi
}

demo() {
  inside env ROUNDS="${ROUNDS:-10}" make demo
  inside sh -c 'test -s runs/*/summary.json'
}

tests() { inside make test; }

phase "the container" build
phase "the clone" clone
[ "$FRESH" = test ] || phase "make demo" demo
[ "$FRESH" = demo ] || phase "make test" tests
echo "fresh: passed: ${times[*]} in all $SECONDS s"
