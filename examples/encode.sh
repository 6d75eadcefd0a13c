#!/bin/sh
# The fine code of a picture, in hexadecimal: sh encode.sh PIXELS [SIZE], where the file holds SIZE x SIZE x 3 bytes of RGB.
set -eu
[ $# -ge 1 ] || { echo "usage: sh encode.sh PIXELS [SIZE]" >&2; exit 2; }
pixels=$1 size=${2:-96}
[ -r "$pixels" ] || { echo "$pixels cannot be read" >&2; exit 1; }
[ "$(wc -c < "$pixels")" -eq $((size * size * 3)) ] || { echo "$pixels must hold $((size * size * 3)) bytes" >&2; exit 1; }

# Triton's binary extension: JSON, then the tensors' bytes; a header says where the JSON ends.
head='{"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, '$size', '$size', 3],
                   "parameters": {"binary_data_size": '$((size * size * 3))'}}],
       "outputs": [{"name": "fine_code"}]}'
answer=$({ printf '%s' "$head"; cat "$pixels"; } |
    curl --silent --show-error --fail-with-body --max-time 30 --header "Inference-Header-Content-Length: ${#head}" \
        --data-binary @- "${TRITON:-http://localhost:8000}/v2/models/hash_encoder/infer") || { echo "$answer" >&2; exit 1; }
numbers=$(printf '%s' "$answer" | sed 's/.*"data":\[\([0-9,]*\)\].*/\1/' | tr ',' ' ')
# shellcheck disable=SC2086  # one argument for each byte
printf '%02x' $numbers
echo
