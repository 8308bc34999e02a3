#!/bin/sh
# Puts sentence-transformers beside the bench, in an environment apart from the other Python peers': torch's package for
# Linux is linked against the CUDA libraries and is not imported without them, also where it runs on a CPU; 6 GB in all.
set -eu
cd "$(dirname "$0")/../.."
packages='sentence-transformers==6.2.0 torch==2.15.0 transformers==5.24.0 onnx==1.23.2'
stamp=".venv-bench-torch/$(echo "$packages" | tr ' ' '_')"
[ -f "$stamp" ] && exit 0
python3 -m venv .venv-bench-torch
.venv-bench-torch/bin/pip --quiet --disable-pip-version-check install $packages
touch "$stamp"
