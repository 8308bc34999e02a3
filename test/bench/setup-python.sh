#!/bin/sh
# Puts BERTopic beside the bench, in an environment of its own: the peer of docs/benchmarks.md. Done once; later calls see the stamp and leave.
# It comes without sentence-transformers: the bench hands it the vectors, so gigabytes of torch would lie idle.
set -eu
cd "$(dirname "$0")/../.."
bertopic=bertopic==0.17.4
clustering='umap-learn==0.5.12 hdbscan==0.8.44 scikit-learn==1.9.1 numpy==2.4.6'
stamp=".venv-bench/$(echo "$bertopic $clustering" | tr ' ' '_')"
[ -f "$stamp" ] && exit 0
python3 -m venv .venv-bench
pip='.venv-bench/bin/pip --quiet --disable-pip-version-check install'
$pip $clustering pandas tqdm plotly pyyaml
$pip --no-deps "$bertopic"
touch "$stamp"
