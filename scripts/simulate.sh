#!/usr/bin/env bash
# Seeded worlds that try to make PayOnce charge twice: the same ones every time, and some that only this commit has.
set -euo pipefail
cd "$(dirname "$0")/.."

PAYONCE_INNER=1 swift build -c release --product simulate --scratch-path .build-inner
simulate=.build-inner/release/simulate

echo "every way that one order with two payments can go, as long as nothing fails"
"$simulate" model 0
echo "the worlds of every run"
"$simulate" 1 800 2
echo "the worlds of this commit"
first=$((16#$(git rev-parse HEAD 2> /dev/null | cut -c1-8 || echo 1) + 1000000))
"$simulate" "$first" $((first + 199)) 2
