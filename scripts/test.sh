#!/usr/bin/env bash
# Everything that must hold before a change lands. Stops at the first part that fails.
set -euo pipefail
cd "$(dirname "$0")/.."

part() {
  local name=$1
  shift
  echo
  echo "== $name"
  local began=$SECONDS
  "$@" || {
    echo "FAILED: $name" >&2
    exit 1
  }
  timings+=("$(printf '%5d s  %s' $((SECONDS - began)) "$name")")
}
timings=()

part "what the tests need" scripts/install.sh test
part "format" swift format lint --strict --parallel --recursive Package.swift Sources Tests
part "build" swift build --build-tests --explicit-target-dependency-import-check error
part "swift tests" timeout 600 swift test --skip-build
part "simulation" scripts/simulate.sh
part "black-box and browser tests" timeout 1800 .build/python/bin/pytest --quiet --color=no Tests/BlackBox

echo
printf '%s\n' "${timings[@]}"
echo "all parts passed, 0 failed"
