#!/bin/bash
# Builds the Rust guest crate in DIR into a component: OUTPUT, or DIR/<crate_name>.wasm beside the crate's Cargo.toml.
#
#   plugins/build-guest.sh DIR [OUTPUT]
#   plugins/build-guest.sh plugins/examples/order-guard
#   eval "$(plugins/build-guest.sh --environment)"      # for `ironrule plugin build` and `cargo` itself, in this shell
#
# Exit code 3: there is no compiler for the target, and none can be had.
#
# Compiler: a rustup toolchain with the target wasm32-unknown-unknown if there is one
# (`rustup target add wasm32-unknown-unknown`). Without it, Debian's rustc-web and a sysroot that is built once (about a
# minute) from Debian's rust-web-src and kept in ~/.cache/ironrule: 145 MB of packages, 850 MB on the disk. Nothing is
# installed system-wide, and root is not needed.
set -euo pipefail

target=wasm32-unknown-unknown
cache=${IRONRULE_CACHE:-$HOME/.cache/ironrule}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export CARGO_TARGET_DIR=${GUEST_TARGET_DIR:-$cache/guest-target}

say() { echo "build-guest: $*" >&2; }
fail() { say "$*"; exit 1; }
no_compiler() { say "$*"; exit 3; }

has_rustup_target() {
    command -v rustup >/dev/null && [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]
}

# Any lld will do: rustup's compiler brings one, Debian has it as package `lld`.
linker() {
    local bundled
    bundled=$(find "$(rustc --print sysroot 2>/dev/null || echo /nowhere)" -name rust-lld -type f 2>/dev/null | head -1)
    if [ -n "$bundled" ]; then echo "$bundled"; return; fi
    compgen -c wasm-ld | sort -V | tail -1 | grep . || no_compiler "no linker: install the package lld"
}

# The lists of packages are fetched into a folder of our own: an old machine's lists name an old compiler, or one that the
# archive has no longer, and only root may renew those of the system.
apt() {
    apt-get -q -o Dir::State::Lists="$cache/apt-lists" -o Dir::Cache="$cache/apt-cache" -o APT::Sandbox::User="$(id -un)" "$@"
}

# What an installation would bring, into a folder, without installing it.
fetch_debian_packages() (
    cd "$1" || exit
    apt update || say "apt could not renew its lists; going on with what there is"
    apt install --simulate --no-install-recommends rustc-web cargo-web rust-web-src > simulation || exit
    # shellcheck disable=SC2046 # names of packages have no spaces
    apt download $(sed -n 's/^Inst \([^ ]*\) .*/\1/p' simulation) || exit
    for package in *.deb; do dpkg -x "$package" unpacked || exit; done
)

unpack_debian_compiler() {
    [ -x "$cache/rustc-web/usr/bin/rustc" ] && return
    command -v apt-get >/dev/null || no_compiler "no $target: run rustup target add $target (or use a Debian with rustc-web)"
    say "unpacking Debian's rustc-web into $cache/rustc-web"
    local debs; debs=$(mktemp -d)
    mkdir -p "$cache/apt-lists/partial" "$cache/apt-cache/archives/partial"
    fetch_debian_packages "$debs" >&2 || no_compiler "Debian's packages could not be fetched"
    rm -rf "$cache/rustc-web" "$cache/apt-lists" "$cache/apt-cache"; mv "$debs/unpacked" "$cache/rustc-web"; rm -rf "$debs"
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
    mkdir -p "$cache"
    # two builds at the same time must not unpack over each other
    exec 9> "$cache/guest.lock"; flock 9
    unpack_debian_compiler
    local root="$cache/rustc-web/usr" libraries
    libraries=$(printf '%s:' "$root"/lib/*-linux-gnu "$cache"/rustc-web/lib/*-linux-gnu "$root/lib")
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(linker); export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER
    export LD_LIBRARY_PATH="${libraries%:}" RUSTC="$root/bin/rustc"
    cargo="$root/bin/cargo"
    build_sysroot
    flock --unlock 9
    flags="--sysroot $cache/wasm-sysroot"
}

# What lets the cargo of a shell build for the target; nothing where it can do so already.
environment() {
    if has_rustup_target; then return; fi
    use_debian_compiler
    export PATH="$cache/rustc-web/usr/bin:$PATH" CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$flags"
    export -p | grep -E ' (PATH|RUSTC|LD_LIBRARY_PATH|CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_(LINKER|RUSTFLAGS))='
}

if [ "${1:-}" = --environment ]; then environment; exit; fi
{ [ $# -eq 1 ] || [ $# -eq 2 ]; } && [ -f "$1/Cargo.toml" ] || fail "usage: build-guest.sh DIR [OUTPUT] (DIR is a folder with a Cargo.toml)"
crate=$(cd "$1" && pwd)
file=$(sed -n 's/^name *= *"\(.*\)"/\1/p' "$crate/Cargo.toml" | head -1 | tr - _).wasm
output=${2:-$crate/$file}

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
"$CARGO_TARGET_DIR/release/component" "$CARGO_TARGET_DIR/$target/release/$file" "$output"
say "wrote $output ($(wc -c < "$output") bytes)"
