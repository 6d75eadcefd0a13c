#!/bin/sh
# Neighbours of a picture, by curl: sh search.sh IMAGE [INDEX] [K]
set -eu
[ $# -ge 1 ] || { echo "usage: sh search.sh IMAGE [INDEX] [K]" >&2; exit 2; }
image=$1 index=${2:-photos} k=${3:-10}
[ -r "$image" ] || { echo "$image cannot be read" >&2; exit 1; }

# JSON carries text alone, so the file travels as a data URL; the body goes through a pipe, since arguments are limited.
answer=$({
    printf '{"inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [1, 1], "data": ["data:;base64,'
    base64 < "$image" | tr -d '\n'
    printf '"]}], "outputs": [{"name": "ids"}, {"name": "distances"}], "parameters": {"k": %d, "index": "%s"}}' "$k" "$index"
} | curl --silent --show-error --fail-with-body --max-time 30 --data-binary @- \
    "${TRITON:-http://localhost:8000}/v2/models/image_search/infer") || { echo "$answer" >&2; exit 1; }
echo "$answer"
