#!/bin/sh
# Begins a quarter on the instance and returns at once: start.sh QUARTER TRANSCRIPTS CARD DATABASE CHECKPOINT METHOD, with - for
# what there is none of. What follows is the set-up and then the supervisor, in a session of their own, whatever becomes of the
# connection that asked for them. run/pid says which process it is, run/log what it says, run/state.json how it ended.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p run
if [ -f run/pid ] && kill -0 "$(cat run/pid)" 2> /dev/null; then
  echo "start: running already, as process $(cat run/pid)"
  exit 0
fi
rm -f run/state.json
# shellcheck disable=SC2016 # the words are for the shell that is started
setsid sh -c '
  echo $$ > run/pid
  quarter=$1 transcripts=$2 card=$3 database=$4 checkpoint=$5 method=$6
  PATH=$HOME/node/bin:$PATH
  fail() {
    printf "{\"state\":\"failed\",\"message\":\"%s\",\"backup\":null}\n" "$1" > run/state.part
    mv run/state.part run/state.json
    exit 1
  }
  options=
  if [ "$card" = card ]; then options=--card; fi
  if [ "$database" = postgres ]; then options="$options --postgres"; fi
  code=0
  sh bin/instance/setup.sh $options || code=$?
  # 4: ready but for the card, and the CPU does the work.
  case $code in 0 | 4) ;; *) fail "the instance could not be set up" ;; esac
  # Not before: the scripts of packages need no keys.
  set -a
  . run/environment
  set +a
  set -- --quarter "$quarter"
  if [ "$transcripts" != - ]; then set -- "$@" --transcripts "$transcripts"; fi
  if [ "$database" = postgres ]; then set -- "$@" --postgres; fi
  if [ "$method" != - ]; then set -- "$@" --method "$method"; fi
  if [ "$checkpoint" != - ]; then set -- "$@" --checkpoint "$checkpoint"; fi
  exec node --import tsx bin/instance/supervise.ts "$@"
' sh "$@" >> run/log 2>&1 < /dev/null &
# The next question may come at once, and is about this process.
until [ -s run/pid ] && kill -0 "$(cat run/pid)" 2> /dev/null; do
  kill -0 $! 2> /dev/null || break
  sleep 0.1
done
