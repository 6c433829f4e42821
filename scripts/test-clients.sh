#!/bin/sh
# Runs the official clients against `agave serve`: Python (openai, current and two major versions back,
# anthropic, litellm, langchain-openai, llm), JavaScript (openai, @anthropic-ai/sdk, ai with its providers),
# lm-eval and schemathesis. Installs them under build/clients at the first run.
#   scripts/test-clients.sh [MODEL.gguf]     else $AGAVE_MODEL, else SmolLM2, which scripts/get-model.sh fetches
# Needs build/release/bin/agave or $AGAVE, python3 with venv, node and npm. Exits 1 when a case fails.
set -eu
cd "$(dirname "$0")/.."
agave=${AGAVE:-build/release/bin/agave}
model=${1:-${AGAVE_MODEL:-$(scripts/get-model.sh smollm2)}}
port=${PORT:-8199}
url=http://127.0.0.1:$port
[ -x "$agave" ] || { echo "test-clients.sh: there is no program '$agave'" >&2; exit 2; }
[ -f "$model" ] || { echo "test-clients.sh: there is no model '$model'" >&2; exit 2; }

folder=build/clients
mkdir -p $folder
environment() {
    name=$1
    shift
    [ -e "$folder/$name/done" ] && return
    python3 -m venv "$folder/$name"
    "$folder/$name/bin/pip" -q install "$@"
    touch "$folder/$name/done"
}
environment current openai anthropic litellm langchain-openai llm
major=$($folder/current/bin/python -c 'import openai; print(openai.__version__.split(".")[0])')
environment openai-1 "openai<$major"
environment openai-2 "openai<$((major - 1))"
environment schemathesis schemathesis
environment lm-eval "lm-eval[api]>=0.4,<0.5"
if [ ! -e $folder/node/done ]; then
    mkdir -p $folder/node
    cp tools/server/clients/package.json $folder/node/
    (cd $folder/node && npm install --silent --no-audit --no-fund)
    touch $folder/node/done
fi

serve() {
    "$agave" serve "$@" --port "$port" --log off &
    server=$!
    trap 'kill $server 2>/dev/null || true' EXIT
    n=0
    until curl -sf "$url/health" >/dev/null; do
        n=$((n + 1))
        [ $n -lt 100 ] || { echo "test-clients.sh: the server does not come up" >&2; exit 1; }
        sleep 0.2
    done
}
stop() {
    kill $server
    wait $server || { echo "test-clients.sh: the server ended with an error" >&2; failed=1; }
    trap - EXIT
}

failed=0
serve "$model" --alias test --ctx-size 8192
for clients in current openai-1 openai-2; do
    echo "== $clients: $($folder/$clients/bin/pip list 2>/dev/null | grep -E '^openai ')"
    names=
    [ $clients = current ] || names=openai
    $folder/$clients/bin/python tools/server/clients/python_clients.py "$url" test $names || failed=1
done
echo "== node"
cp tools/server/clients/node_clients.mjs $folder/node/
node $folder/node/node_clients.mjs "$url" test || failed=1
echo "== lm-eval"
$folder/lm-eval/bin/python tools/server/lm_eval_check.py "$url" test "$agave" "$model" || failed=1
stop

echo "== schemathesis"
serve tests/data/models/chat.gguf --alias tiny --ctx-size 2048
# That a request follows the document does not yet make it sensible (tool_choice without tools ...).
(cd $folder && schemathesis/bin/schemathesis run "$url/openapi.json" --max-examples "${EXAMPLES:-50}" \
    --phases fuzzing,coverage --exclude-checks positive_data_acceptance,unsupported_method) || failed=1
stop
exit $failed
