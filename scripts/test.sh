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
postgres=$(mktemp -d)
trap 'scripts/postgres.sh stop "$postgres"' EXIT
PAYONCE_TEST_POSTGRES=$(scripts/postgres.sh start "$postgres")
export PAYONCE_TEST_POSTGRES
# All at once they wait for the two threads that they share, some longer than what they test has patience.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=8
part "swift tests" timeout 600 swift test --skip-build
part "simulation" scripts/simulate.sh
pytest=(timeout 1200 .build/python/bin/pytest --quiet --color=no)
# Most of a test is waiting, and so is most of a storm, for its calm.
on_postgres=(env PAYONCE_TEST_STORE=postgres)
quiet=(-n 4 --ignore Tests/BlackBox/storms/test_storms.py --ignore Tests/BlackBox/gate/test_schema.py Tests/BlackBox)
part "black-box and browser tests" "${pytest[@]}" "${quiet[@]}"
# With its output, which says by which seed a run is repeated.
part "what openapi.json says, by schemathesis" "${pytest[@]}" --capture no Tests/BlackBox/gate/test_schema.py
# But for the pages, which know of no store.
part "the same on PostgreSQL, with several nodes and fail-over" "${on_postgres[@]}" "${pytest[@]}" "${quiet[@]}" \
  -m "not browser"
part "storms" "${pytest[@]}" -n 5 Tests/BlackBox/storms/test_storms.py
part "storms on PostgreSQL" "${on_postgres[@]}" "${pytest[@]}" -n 5 Tests/BlackBox/storms/test_storms.py

echo
printf '%s\n' "${timings[@]}"
echo "all parts passed, 0 failed"
