#!/bin/sh
# Puts the Python peers beside the bench, in an environment of their own. Done once; later calls see the stamp and leave.
# BERTopic comes without sentence-transformers: the bench hands it the vectors, so gigabytes of torch would lie idle.
set -eu
cd "$(dirname "$0")/../.."
bertopic=bertopic==0.17.4
# hdbscan 0.8.43 made the reference cases in test/fixtures/hdbscan.
clustering='umap-learn==0.5.12 hdbscan==0.8.43 scikit-learn==1.9.1 numpy==2.4.6'
# They made the reference objectives in test/fixtures/leiden.
communities='leidenalg==0.12.0 igraph==1.0.0'
stamp=".venv-bench/$(echo "$bertopic $clustering $communities" | tr ' ' '_')"
[ -f "$stamp" ] && exit 0
python3 -m venv .venv-bench
pip='.venv-bench/bin/pip --quiet --disable-pip-version-check install'
$pip $clustering $communities pandas tqdm plotly pyyaml
$pip --no-deps "$bertopic"
touch "$stamp"
