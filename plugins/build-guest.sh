#!/bin/bash
# Builds the Rust guest crate in DIR into a component and puts it beside the crate's Cargo.toml: DIR/<crate_name>.wasm.
#
#   plugins/build-guest.sh plugins/examples/order-guard
#
# Compiler: a rustup toolchain with the target wasm32-unknown-unknown if there is one
# (`rustup target add wasm32-unknown-unknown`). Without it, Debian's rustc-web and a sysroot that is built once (about a
# minute) from Debian's rust-web-src and kept in ~/.cache/ironrule. Nothing is installed system-wide.
set -euo pipefail

target=wasm32-unknown-unknown
cache=${IRONRULE_CACHE:-$HOME/.cache/ironrule}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export CARGO_TARGET_DIR=${GUEST_TARGET_DIR:-$cache/guest-target}

say() { echo "build-guest: $*" >&2; }
fail() { say "$*"; exit 1; }

has_rustup_target() {
    command -v rustup >/dev/null && [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]
}

# Any lld will do: rustup's compiler brings one, Debian has it as package `lld`.
linker() {
    local bundled
    bundled=$(find "$(rustc --print sysroot 2>/dev/null || echo /nowhere)" -name rust-lld -type f 2>/dev/null | head -1)
    if [ -n "$bundled" ]; then echo "$bundled"; return; fi
    compgen -c wasm-ld | sort -V | tail -1 | grep . || fail "no linker: install the package lld"
}

unpack_debian_compiler() {
    [ -x "$cache/rustc-web/usr/bin/rustc" ] && return
    command -v apt-get >/dev/null || fail "no $target: run rustup target add $target (or use a Debian with rustc-web)"
    say "unpacking Debian's rustc-web into $cache/rustc-web"
    local debs; debs=$(mktemp -d)
    (
        cd "$debs"
        apt-cache show rust-web-src >/dev/null 2>&1 || apt-get update -q
        # what an installation would bring, without installing it
        apt-get install --simulate --no-install-recommends rustc-web cargo-web rust-web-src > simulation
        sed -n 's/^Inst \([^ ]*\) .*/\1/p' simulation | xargs apt-get download -q
        for package in *.deb; do dpkg -x "$package" unpacked; done
    ) >&2
    mkdir -p "$cache"; rm -rf "$cache/rustc-web"; mv "$debs/unpacked" "$cache/rustc-web"; rm -rf "$debs"
}

# std for the target as a plain sysroot, so that every guest is then built with stable flags only. The bitcode is needed
# by guests with `lto = true`.
build_sysroot() {
    [ -d "$cache/wasm-sysroot/lib/rustlib/$target/lib" ] && return
    say "building std for $target once"
    local seed; seed=$(mktemp -d); mkdir "$seed/src"
    echo '#![no_std]' > "$seed/src/lib.rs"
    printf '[package]\nname="seed"\nversion="0.0.0"\nedition="2021"\n[profile.release]\npanic="abort"\n' > "$seed/Cargo.toml"
    (cd "$seed" && CARGO_TARGET_DIR=target RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="-C embed-bitcode=yes --remap-path-prefix=$cache/rustc-web/usr/lib/rustlib/src/rust=/rust" \
        "$cargo" build --release --offline --target $target -Zbuild-std=std,panic_abort \
        --config 'source.crates-io.replace-with="debian"' \
        --config "source.debian.directory='$cache/rustc-web/usr/lib/rustlib/src/rust/library/vendor'") >&2
    local lib="$cache/wasm-sysroot.new/lib/rustlib/$target/lib"
    rm -rf "$cache/wasm-sysroot.new"; mkdir -p "$lib"
    cp "$seed/target/$target/release/deps/"*.rlib "$lib"; rm -f "$lib"/libseed*
    mv "$cache/wasm-sysroot.new" "$cache/wasm-sysroot"; rm -rf "$seed"
}

use_debian_compiler() {
    unpack_debian_compiler
    local root="$cache/rustc-web/usr"
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(linker); export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER
    export LD_LIBRARY_PATH="$root/lib/x86_64-linux-gnu:$root/lib" RUSTC="$root/bin/rustc"
    cargo="$root/bin/cargo"
    build_sysroot
    flags="--sysroot $cache/wasm-sysroot"
}

[ $# -eq 1 ] && [ -f "$1/Cargo.toml" ] || fail "usage: build-guest.sh DIR (a folder with a Cargo.toml)"
crate=$(cd "$1" && pwd)
file=$(sed -n 's/^name *= *"\(.*\)"/\1/p' "$crate/Cargo.toml" | head -1 | tr - _).wasm

# The tool that wraps the core module is a host program: built before the compiler of the guests is chosen.
cargo=cargo flags=
command -v cargo >/dev/null || use_debian_compiler
"$cargo" build --quiet --release --locked --manifest-path "$here/component/Cargo.toml"

has_rustup_target || use_debian_compiler
# No path of this machine gets into the artefact.
flags="$flags --remap-path-prefix=$(dirname "$here")=/ironrule"
(cd "$crate" && "$cargo" fetch --quiet --target $target)
for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do flags="$flags --remap-path-prefix=$folder=/crates"; done
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$flags"

(cd "$crate" && "$cargo" build --quiet --release --target $target)
"$CARGO_TARGET_DIR/release/component" "$CARGO_TARGET_DIR/$target/release/$file" "$crate/$file"
say "wrote $crate/$file ($(stat -c %s "$crate/$file") bytes)"
