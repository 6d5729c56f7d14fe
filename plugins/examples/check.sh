#!/bin/bash
# Holds the examples against their fixtures, twice: the artefact that is committed, and one that is built now.
#
#   plugins/examples/check.sh [EXAMPLE...]
#
# The bytes of an artefact depend on the compiler and on the folder it was built in, so a difference is told and no mistake; what
# counts is that both say the same about themselves and do what the fixtures say. What cannot be built here is skipped, and said to be.
# IRONRULE names the server's binary.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ironrule=${IRONRULE:-${CARGO_TARGET_DIR:-$HOME/.cache/ironrule/target}/release/ironrule}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
wrong=0 skipped=()

say() { echo "check: $*"; }
complain() { say "$*"; wrong=$((wrong + 1)); }
skip() { say "$1 is not rebuilt: $2"; skipped+=("$1"); }

# The artefact of an example, relative to its folder.
artefact() {
    if [ -f "$1/Cargo.toml" ]; then echo "$(basename "$1" | tr - _).wasm"
    elif [ -f "$1/package.json" ]; then echo "dist/$(basename "$1" -ts).js"
    else echo plugin.wasm; fi
}

# The twins share the fixtures of the one in Rust.
fixtures() {
    if [ -d "$1/tests" ]; then echo "$1"; else echo "${1%-ts}"; fi
}

# EXAMPLE FILE WHICH: the fixtures; without any, that it keeps the contract.
hold() {
    local given; given=$(fixtures "$1")
    say "$(basename "$1"), $3"
    if [ -d "$given/tests" ]; then "$ironrule" plugin test "$2" --fixtures "$given" || complain "$(basename "$1"): the fixtures fail ($3)"
    else "$ironrule" plugin check "$2" > /dev/null || complain "$(basename "$1") cannot be loaded ($3)"; fi
}

# What it says about itself: all but the last line, which has its digest.
manifest() { "$ironrule" plugin check "$1" | head -n -1; }

# EXAMPLE OUTPUT: 3 if there is nothing to build it with.
build() {
    if [ -f "$1/Cargo.toml" ]; then "$here/../build-guest.sh" "$1" "$2"
    elif [ -f "$1/package.json" ]; then bundle "$1" "$2"
    else
        command -v componentize-py > /dev/null || return 3
        (cd "$1" && componentize-py -d "$here/../wit" -w plugin componentize --stub-wasi app -o "$2")
    fi
}

# In a copy, beside a copy of the SDK, so that nothing in the repository changes.
bundle() {
    command -v npm > /dev/null || return 3
    local name; name=$(basename "$1")
    mkdir -p "$work/plugins/examples"
    [ -d "$work/plugins/guest-ts" ] || cp -r "$here/../guest-ts" "$work/plugins"
    cp -r "$1" "$work/plugins/examples"
    rm -rf "$work/plugins/examples/$name/"{dist,node_modules}
    (cd "$work/plugins/examples/$name" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npm run --silent build) >&2
    cp "$work/plugins/examples/$name/dist/$(basename "$2")" "$2"
}

hold_fresh() {
    local name file fresh status=0
    name=$(basename "$1"); file=$(artefact "$1")
    mkdir -p "$work/$name"; fresh="$work/$name/$(basename "$file")"
    build "$1" "$fresh" || status=$?
    case $status in
        0) ;;
        3) skip "$name" "there is nothing to build it with"; return ;;
        *) complain "$name does not build"; return ;;
    esac
    hold "$1" "$fresh" "built now"
    [ -f "$1/$file" ] || return 0
    if cmp --silent "$1/$file" "$fresh"; then say "$name: the fresh build is the committed artefact, byte for byte"
    else say "$name: the fresh build differs from the committed artefact in bytes"; fi
    [ "$(manifest "$1/$file")" = "$(manifest "$fresh")" ] || complain "$name: the fresh build says something else about itself"
}

[ -x "$ironrule" ] || { say "$ironrule is missing: build the server first, or name it in IRONRULE"; exit 1; }
if [ $# -gt 0 ]; then examples=("${@/#/$here/}"); else examples=("$here"/*/); fi
for example in "${examples[@]%/}"; do
    [ -d "$example" ] || { complain "there is no example $(basename "$example")"; continue; }
    if [ -f "$example/$(artefact "$example")" ]; then hold "$example" "$example/$(artefact "$example")" "as committed"; fi
    hold_fresh "$example"
done
say "${#examples[@]} examples, $wrong wrong, ${#skipped[@]} not rebuilt${skipped:+ (${skipped[*]})}"
[ "$wrong" -eq 0 ]
