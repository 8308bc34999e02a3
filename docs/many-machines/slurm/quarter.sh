#!/bin/sh
# Submits all steps of a quarter to Slurm, each to begin when all of the one before has succeeded. In the folder of quarterdeck:
#
#   sh docs/many-machines/slurm/quarter.sh 2024Q3 ~/calls        PROCESSES=16 in front of it for another number than 4
#   sh docs/many-machines/slurm/quarter.sh 2024Q3                without ingest, which has been run
set -eu
quarter=${1:?usage: quarter.sh QUARTER [TRANSCRIPTS], such as 2024Q3 data/samples/2024Q3}
script=$(dirname "$0")/step.sbatch
tasks=0-$((${PROCESSES:-4} - 1))
# What embed asks for beside what the script says; empty for the shipped model, with which a card brings nothing.
card=${CARD---gres=gpu:1}
previous=

# submit STEP OPTIONS-OF-SBATCH -- WORDS; what depends on a step that failed is taken out of the queue.
submit() {
  step=$1
  shift
  options=
  while [ "$1" != -- ]; do
    options="$options $1"
    shift
  done
  shift
  # shellcheck disable=SC2086 # options are words without spaces
  previous=$(sbatch --parsable --job-name="$step" $options ${previous:+--dependency=afterok:$previous --kill-on-invalid-dep=yes} \
    "$script" "$step" --quarter "$quarter" "$@")
  echo "$step: job $previous"
}

if [ $# -gt 1 ]; then
  shift
  submit ingest -- "$@"
fi
submit embed "--array=$tasks" ${card:+"$card"} --
submit cluster-firm "--array=$tasks" --
submit name-topics --
submit aggregate --
submit index --
submit novelty --
submit lineage --
