#!/usr/bin/env bash
# A PostgreSQL of the tests' own, on a free port of loopback.
#   postgres.sh start FOLDER    makes it in an empty folder and prints its URL
#   postgres.sh stop FOLDER     ends it and removes the folder
set -euo pipefail

action=${1:?start or stop}
folder=${2:?a folder}
bin=$(pg_config --bindir)

# initdb refuses root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

case $action in
start)
  mkdir -p "$folder"
  if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; fi
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  {
    as_postgres "$bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --no-sync
    # What is tested here is not the disk.
    as_postgres "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -o \
      "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories= -c fsync=off -c max_connections=200" start
  } >"$folder.out" 2>&1 || {
    cat "$folder.out" >&2
    exit 1
  }
  echo "postgres://postgres@127.0.0.1:$port/postgres"
  ;;
stop)
  as_postgres "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null || true
  rm -rf "$folder" "$folder.out"
  ;;
esac
