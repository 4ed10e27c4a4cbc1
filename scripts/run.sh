#!/usr/bin/env bash
# Builds PayOnce and runs it with its sandbox bank and demo shop, all its data in ./data.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh build
echo "building (the first time takes some minutes)"
swift build -c release --product payonce

address=${PAYONCE_LISTEN:-127.0.0.1:8080}
demo="http://$address/demo"
case "${PAYONCE_PUBLIC_URL:-http://$address}" in
*//127.* | *//localhost* | *"//[::1]"*) ;;
*) demo="off, since others can reach it, unless PAYONCE_SANDBOX=on and PAYONCE_DEMO=on" ;;
esac
cat << HERE

  the demo shop    $demo
  an API key       .build/release/payonce keys create --merchant tea      (in another terminal, in this folder)
  what is wrong    .build/release/payonce doctor
  stop             Ctrl-C

HERE
exec .build/release/payonce serve "$@"
