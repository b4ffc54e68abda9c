#!/bin/sh
# Installs into an empty folder, then works there only with what was installed: every kind of project, the manual
# pages, the completions, `cella soft`, and a host program built by pkg-config.
set -eu

if [ "${1:-}" = --help ] || [ $# -ne 3 ]; then
    echo "usage: install.sh BUILD SOURCE PREFIX    (PREFIX: what the build was configured with)"
    exit 2
fi
build=$(realpath "$1") source=$(realpath "$2") prefix=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
export XDG_STATE_HOME="$work/state"

fail() {
    echo "install: $*"
    exit 1
}

DESTDIR="$work/root" ${MESON:-meson} install -C "$build" --no-rebuild >"$work/install.log" 2>&1 ||
    { cat "$work/install.log"; fail "meson install fails"; }
top=$work/root$prefix
cella=$top/bin/cella
cd "$work"

# What is there, and what must not be: static libraries that only point into the build folder.
for header in "$source"/include/cella/*.h; do
    [ -f "$top/include/cella-sdk/cella/$(basename "$header")" ] || fail "no $(basename "$header")"
done
for page in "$source"/docs/man/*.1; do
    [ -f "$top/share/man/man1/$(basename "$page")" ] || fail "no manual page $(basename "$page")"
done
archives=$(find "$top" -name '*.a')
for archive in libcella_host libcella_enclave libcella_enclave_bare libcella_enclave_libc libcella_enclave_seal \
    libcella_enclave_protected libcella_enclave_clock libcella_enclave_files; do
    echo "$archives" | grep -q "/$archive\.a$" || fail "no $archive.a"
done
for archive in $archives; do
    [ "$(head -c 7 "$archive")" != "!<thin>" ] || fail "$archive is thin: its objects are elsewhere"
done
bash -n "$top/share/bash-completion/completions/cella" || fail "the completion is no bash"
# shellcheck disable=SC2016 # for that bash
[ "$(bash -c '. "$1"; COMP_WORDS=(cella doc); COMP_CWORD=1; _cella; echo "${COMPREPLY[0]}"' - \
    "$top/share/bash-completion/completions/cella")" = doctor ] || fail "the completion completes nothing"

# Nothing may come from the build or the source folder.
for row in none:c musl:c glibc:c glibc:c++; do
    libc=${row%:*} language=${row#*:}
    name=i-$libc-$(echo "$language" | tr + x)
    "$cella" new "$name" --libc "$libc" --language "$language" >/dev/null
    "$cella" build "$name" --verbose >build.log 2>&1 || { cat build.log; fail "$name does not build"; }
    if grep -F -e "$build" -e "$source" build.log; then
        fail "$name was not built with what was installed"
    fi
    "$cella" run "$name" -- Ada 2>&1 | grep -q "^enclave (.* processor): Hello Ada, from inside the enclave.$" ||
        fail "$name answers otherwise"
done
printf 'modules = clock dirs epoll files ids pipes poll resolver sockets uname seal\nlibraries = z crypto\n' >>i-musl-c/cella.project
sed 's/^libc = .*/libc = glibc/' i-musl-c/cella.project >i-glibc-c/cella.project
sed -i 's/i-musl-c/i-glibc-c/' i-glibc-c/cella.project
"$cella" build i-glibc-c >build.log 2>&1 || { cat build.log; fail "modules and libraries do not link"; }

# The same host under `cella soft`, through the kernel's interface; and linked with the shared library.
host=i-none-c/build/i-none-c image=i-none-c/build/i-none-c.signed
CELLA_PROCESSOR=hardware "$cella" soft -- "$host" "$image" Ada | grep -q "^enclave (hardware processor): Hello Ada" ||
    fail "cella soft"
# shellcheck disable=SC2046 # flags
PKG_CONFIG_LIBDIR=$(dirname "$(find "$top" -name cella-host.pc)"):$(pkg-config --variable pc_path pkg-config) \
    PKG_CONFIG_SYSROOT_DIR="$work/root" pkg-config --cflags --libs cella-host >flags
# shellcheck disable=SC2046 # flags
gcc -Ii-none-c/build/edl -o shared i-none-c/host/*.c i-none-c/build/edl/*_u.c $(cat flags)
LD_LIBRARY_PATH=$(dirname "$(find "$top" -name libcella_host.so)") ./shared "$image" Ada |
    grep -q "^enclave (.* processor): Hello Ada" || fail "a host with the shared library"

# Projects in the manner of the two SDKs, by their own Makefiles; Intel's in both of its modes.
for template in openenclave intel; do
    "$cella" new "i-$template" --template "$template" >/dev/null
    for mode in SIM HW; do
        "$cella" env -- make -s -C "i-$template" clean >/dev/null
        SGX_MODE=$mode "$cella" run "i-$template" -- Ada >run.log 2>build.log || { cat run.log build.log; fail "$template $mode"; }
        grep -q "^enclave: Hello Ada, from inside the enclave.$" run.log || { cat run.log; fail "$template answers otherwise"; }
    done
    if grep -F -e "$build" -e "$source" build.log; then
        fail "$template was not built with what was installed"
    fi
done
echo "install: everything works from what was installed"
