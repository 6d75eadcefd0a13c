#!/usr/bin/env bash
# From nothing to an answer, in containers: build, start, encode a folder into an index over gRPC, search it by the
# command and by plain HTTP, restart Redis, search again, remove everything. Exit code 0 where all of it worked.
#
#   docker/smoke.sh [FOLDER]       a folder of pictures; without one, some are drawn
#
#   COMPOSE                        [default: docker compose, else docker-compose]
#   HASHGRAIN_COMPOSE_FILE         [default: compose.cpu.yaml beside this file; compose.yaml on a node with a GPU]
#   HASHGRAIN_MODEL_REPOSITORY     [default: the tree's]
#   HASHGRAIN_BUILD=no             take the images as they are
set -euo pipefail
cd "$(dirname "$0")"

export COMPOSE_PROJECT_NAME=hashgrain-smoke
export HASHGRAIN_HTTP_PORT=0 HASHGRAIN_GRPC_PORT=0 HASHGRAIN_METRICS_PORT=0 # free ones
export HASHGRAIN_REDIS_PASSWORD=smoke
export HASHGRAIN_INDEX=smoke

if [ -z "${COMPOSE:-}" ]; then
  if docker compose version >/dev/null 2>&1; then COMPOSE="docker compose"; else COMPOSE=docker-compose; fi
fi
file=${HASHGRAIN_COMPOSE_FILE:-compose.cpu.yaml}
work=$(mktemp -d)

compose() { $COMPOSE -f "$file" "$@"; }
worker() { compose run --rm -T -v "$pictures:/pictures:ro" worker "$@" </dev/null; }
say() { printf '\n== %s\n' "$*"; }

finish() {
  code=$?
  trap - EXIT
  [ $code = 0 ] || compose logs --tail 100 redis triton || true
  compose down --volumes --remove-orphans --timeout 30 || code=1
  rm -rf "$work"
  [ $code = 0 ] && say "it works" || say "FAILED"
  exit $code
}

wait_healthy() {
  local deadline=$((SECONDS + 300)) status
  for service in "$@"; do
    while status=$(docker inspect --format '{{.State.Health.Status}} {{.RestartCount}}' "$(compose ps -q "$service")"); do
      [ "$status" != "healthy 0" ] || break
      [ "${status#* }" = 0 ] || { echo "$service ends as soon as it is started" >&2; return 1; }
      [ $SECONDS -lt $deadline ] || { echo "$service is ${status% *} after 300 s" >&2; return 1; }
      sleep 1
    done
    echo "$service is healthy"
  done
}

draw() { # 24 pictures that differ well
  mkdir "$1" && chmod 777 "$1"
  compose run --rm -T --no-deps --entrypoint python -v "$1:/pictures" worker - <<'PYTHON'
import numpy as np
from PIL import Image

cells = np.random.default_rng(0).integers(0, 256, (24, 4, 4, 3), dtype=np.uint8)
for number, picture in enumerate(cells):
    Image.fromarray(picture).resize((96, 96), Image.Resampling.BICUBIC).save(f"/pictures/{number:02}.png")
PYTHON
}

ask_over_http() { # the nearest of one picture, by nothing but curl
  local request='{"inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [1, 1], "data": ["data:;base64,%s"]}],
                  "parameters": {"k": 3}}'
  # shellcheck disable=SC2059  # the request is the format
  printf "$request" "$(base64 -w0 "$1")" |
    curl --silent --show-error --fail --max-time 30 --data-binary @- \
      "http://$(compose port triton 8000)/v2/models/image_search/infer"
  echo
}

trap finish EXIT

if [ "${HASHGRAIN_BUILD:-yes}" != no ]; then
  say "build"
  compose build triton worker
fi

if [ $# -gt 0 ]; then
  pictures=$(cd "$OLDPWD" && realpath "$1")
else
  pictures=$work/pictures
  draw "$pictures"
fi
query=$(cd "$pictures" && find . -type f | sort | head -n 1 | cut -c 3-)

say "start Redis, then Triton"
compose up -d --no-build redis triton
wait_healthy redis triton

say "encode the folder into an index, over gRPC"
worker encode /pictures --index "$HASHGRAIN_INDEX"
worker index stats "$HASHGRAIN_INDEX"

say "search for $query by the command"
worker search "$HASHGRAIN_INDEX" "/pictures/$query" --k 3 --json | tee "$work/command.json"
grep -q "\"id\": \"$query\"" "$work/command.json"

say "search for $query over HTTP"
ask_over_http "$pictures/$query" | tee "$work/before.json"
grep -q "\"$query\"" "$work/before.json"

say "restart Redis; Triton must find it and the index again"
compose restart redis
wait_healthy redis
ask_over_http "$pictures/$query" >"$work/after.json"
cmp "$work/before.json" "$work/after.json"
echo "the same answer"
