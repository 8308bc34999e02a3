#!/bin/sh
# Submits the steps of a quarter to AWS Batch, each to begin when all of the one before has succeeded. `ingest` comes first, on
# the machine that has the transcripts. Once for an account, with its own names and numbers in the files:
#
#   cd docs/many-machines/aws-batch
#   for of in cuda cpu; do
#     aws batch create-compute-environment --cli-input-json file://compute-environment-$of.json
#     aws batch create-job-queue --cli-input-json file://job-queue-$of.json      # when the environment is VALID
#     aws batch register-job-definition --cli-input-json file://job-definition-$of.json
#   done
#
# Then for each quarter:
#
#   sh docs/many-machines/aws-batch/quarter.sh 2024Q3         PROCESSES=16 in front of it for another number than 4,
#                                                             EMBED_ON=cpu for the shipped model: a card brings it nothing
set -eu
quarter=${1:?usage: quarter.sh QUARTER, such as 2024Q3}
processes=${PROCESSES:-4}
previous=

# submit STEP cuda|cpu PROCESSES
submit() {
  array=
  # An array has two children at least.
  [ "$3" -gt 1 ] && array="--array-properties size=$3"
  # shellcheck disable=SC2086 # options are words without spaces
  previous=$(aws batch submit-job --job-name "$1-$quarter" --job-queue "quarterdeck-$2" --job-definition "quarterdeck-$2" \
    --parameters "step=$1,quarter=$quarter" $array ${previous:+--depends-on jobId=$previous} --query jobId --output text)
  echo "$1: job $previous"
}

submit embed "${EMBED_ON:-cuda}" "$processes"
submit cluster-firm cpu "$processes"
submit name-topics cpu 1
submit aggregate cpu 1
submit index cpu 1
submit novelty cpu 1
submit lineage cpu 1
