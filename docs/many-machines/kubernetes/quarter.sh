#!/bin/sh
# All steps of a quarter on Kubernetes, each when the one before is complete; run again after a failure, it goes on from there.
# The database and the language model's key stand in a secret, made once, each out of a file of one line:
#
#   kubectl create secret generic quarterdeck --from-file=DATABASE_URL=database-url --from-file=XAI_API_KEY=key
#   sh docs/many-machines/kubernetes/quarter.sh 2024Q3
set -eu
quarter=${1:?usage: quarter.sh QUARTER, such as 2024Q3}
cd "$(dirname "$0")"
for step in ingest embed cluster-firm name-topics aggregate index novelty lineage; do
  # A Job cannot be changed; one of the last quarter, or one that failed, makes room.
  kubectl delete job "$step" --ignore-not-found
  sed "s/2024Q3/$quarter/g" quarter.yaml | kubectl apply --selector "step=$step" --filename -
  # `kubectl wait` waits for one end alone, and there are two.
  until state=$(kubectl get job "$step" --output jsonpath='{.status.conditions[?(@.status=="True")].type}') && [ -n "$state" ]; do
    sleep 5
  done
  case $state in
    *Fail*)
      kubectl logs --selector "step=$step" --prefix --tail 5 || true
      echo "$step of $quarter failed" >&2
      exit 1
      ;;
  esac
done
