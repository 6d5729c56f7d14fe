#!/bin/bash
# Holds the examples against their fixtures, twice: the artefact that is committed, and one that is built now.
#
#   plugins/examples/check.sh [EXAMPLE...]
#
# The bytes of an artefact depend on the compiler and on the folder it was built in, so a difference is told and no mistake; what
# counts is that both do what the fixtures say. Without a compiler for the guests the second half is skipped, and said to be.
# IRONRULE names the server's binary.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ironrule=${IRONRULE:-${CARGO_TARGET_DIR:-$HOME/.cache/ironrule/target}/release/ironrule}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
wrong=0 skipped=0

say() { echo "check: $*"; }
complain() { say "$*"; wrong=$((wrong + 1)); }
has_fixtures() { compgen -G "$1/tests/*.json" > /dev/null; }

test_committed() {
    has_fixtures "$1" || { say "$(basename "$1") has no fixtures"; return 0; }
    "$ironrule" plugin test "$1" || complain "$(basename "$1"): the committed artefact fails its fixtures"
}

# The fresh build stands in a copy of the example, so that nothing in the repository changes.
test_fresh() {
    local name artefact copy status=0
    name=$(basename "$1"); artefact=$(tr - _ <<< "$name").wasm; copy="$work/$name"
    mkdir "$copy"
    "$here/../build-guest.sh" "$1" "$copy/$artefact" || status=$?
    case $status in
        0) ;;
        3) say "$name is not rebuilt: there is no compiler for wasm32-unknown-unknown"; skipped=$((skipped + 1)); return ;;
        *) complain "$name does not build"; return ;;
    esac
    if cmp --silent "$1/$artefact" "$copy/$artefact"; then say "$name: the fresh build is the committed artefact, byte for byte"
    else say "$name: the fresh build differs from the committed artefact in bytes"; fi
    has_fixtures "$1" || return 0
    cp -r "$1/collections.json" "$1/tests" "$copy"
    "$ironrule" plugin test "$copy" || complain "$name: the fresh build fails the fixtures"
}

[ -x "$ironrule" ] || { say "$ironrule is missing: build the server first, or name it in IRONRULE"; exit 1; }
if [ $# -gt 0 ]; then examples=("${@/#/$here/}"); else examples=("$here"/*/); fi
for example in "${examples[@]%/}"; do
    [ -d "$example" ] || { complain "there is no example $(basename "$example")"; continue; }
    test_committed "$example"
    if [ -f "$example/Cargo.toml" ]; then test_fresh "$example"; fi
done
say "${#examples[@]} examples, $wrong wrong, $skipped not rebuilt"
[ "$wrong" -eq 0 ]
