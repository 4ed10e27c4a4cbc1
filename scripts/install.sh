#!/usr/bin/env bash
# Installs what is missing on a Debian or Ubuntu machine, and says so.
#   scripts/install.sh build   what a build needs beside Swift
#   scripts/install.sh test    that, PostgreSQL, a browser with its driver, and the Python of the black-box tests
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v swift > /dev/null; then
  echo "Swift 6.3 is missing: install it from https://www.swift.org/install/linux/ and put it on the PATH." >&2
  exit 1
fi

packages=()
need() { # PACKAGE, then a command that succeeds when it is there
  local package=$1
  shift
  "$@" > /dev/null 2>&1 || packages+=("$package")
}

need libsqlite3-dev test -e /usr/include/sqlite3.h
need libpq-dev test -e /usr/include/postgresql/libpq-fe.h
need libqrencode-dev test -e /usr/include/qrencode.h
need pkg-config command -v pkg-config
if [ "${1:-build}" = test ]; then
  # Ubuntu's browser comes by its own names.
  if grep -q '^ID=ubuntu' /etc/os-release; then
    need chromium-browser command -v chromium
    need chromium-chromedriver command -v chromedriver
  else
    need chromium command -v chromium
    need chromium-driver command -v chromedriver
  fi
  need openssl command -v openssl
  need protobuf-compiler command -v protoc
  need postgresql sh -c 'test -x "$(pg_config --bindir)/initdb"'
  need fonts-noto-cjk test -d /usr/share/fonts/opentype/noto
  need python3-venv python3 -c 'import ensurepip, venv'
fi

if [ ${#packages[@]} -gt 0 ]; then
  echo "installing with apt: ${packages[*]}"
  root=()
  [ "$(id -u)" = 0 ] || root=(sudo)
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  if ! { "${root[@]}" apt-get update \
    && "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"; } \
    > "$log" 2>&1 < /dev/null; then
    tail -20 "$log" >&2
    echo "apt could not install: ${packages[*]}" >&2
    exit 1
  fi
fi

if [ "${1:-build}" = test ]; then
  python=.build/python
  # Of this one only the engine of accessibility rules is used, not the second browser driver that it would bring.
  engine=axe-playwright-python==0.1.8
  wanted=$(cat Tests/BlackBox/requirements.txt && echo "$engine")
  if [ "$(cat "$python/installed.txt" 2> /dev/null)" != "$wanted" ]; then
    echo "installing the Python packages of Tests/BlackBox/requirements.txt into $python"
    mkdir -p .build
    python3 -m venv --clear "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check -r Tests/BlackBox/requirements.txt
    "$python/bin/pip" install --quiet --disable-pip-version-check --no-deps "$engine"
    echo "$wanted" > "$python/installed.txt"
  fi
fi
