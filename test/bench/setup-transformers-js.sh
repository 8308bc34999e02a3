#!/bin/sh
# Puts transformers.js beside the bench, apart from the product's packages: with its own two onnxruntimes it is half a
# gigabyte. Its packages' install steps would download CUDA libraries, so they are left out; nothing here needs them.
set -eu
cd "$(dirname "$0")/../.."
stamp=.venv-bench-node/package-lock.json
cmp -s "$stamp" test/bench/transformers-js/package-lock.json && exit 0
mkdir -p .venv-bench-node
cp test/bench/transformers-js/package.json .venv-bench-node/
cp test/bench/transformers-js/package-lock.json "$stamp"
npm ci --prefix .venv-bench-node --ignore-scripts --loglevel=error || { rm "$stamp"; exit 1; }
