#!/bin/sh
# Compiles, links and signs one test enclave, by the recipe of enclave/recipe.h.
set -eu

usage() {
    cat <<'USAGE'
usage: mkenclave.sh KIND OUT CONFIG KEY CELLA LIBDIR ROOT INPUT...
  KIND    none, musl, glibc or glibc-c++
  OUT     the signed image
  CONFIG  configuration file; KEY: PEM of the signing key; CELLA: the cella program
  LIBDIR  folder of libcella_enclave*.a; ROOT: the source tree
  INPUT   sources, archives and linker flags of the application
USAGE
}

if [ "${1:-}" = --help ]; then
    usage
    exit 0
fi
if [ $# -lt 8 ]; then
    usage >&2
    exit 2
fi
kind=$1 out=$2 config=$3 key=$4 cella=$5 lib=$6 root=$7
shift 7

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
common="-O2 -g -fPIE -ffunction-sections -fdata-sections -fvisibility=hidden -fcf-protection=none
    -Wall -Wextra -Werror"
link="-static-pie -Wl,--gc-sections -Wl,-z,noexecstack -Wl,-z,separate-code -Wl,-z,max-page-size=4096
    -Wl,--hash-style=gnu -Wl,--build-id=none -Wl,-z,relro -Wl,-z,now -Wl,-u,cella_enclave_entry"
musl=/usr/lib/x86_64-linux-musl
gcc_dir=$(dirname "$(gcc -print-libgcc-file-name)")

# The inputs turn into objects in their places; folders may have blanks in their names.
count=0
for input; do
    shift
    case $input in
    *.c | *.cpp)
        count=$((count + 1))
        case $kind in
        none) compile="gcc -std=gnu17 -ffreestanding -fstack-protector-strong" ;;
        musl) compile="musl-gcc -std=gnu17" ;;
        glibc) compile="gcc -std=gnu17" ;;
        *) compile="g++ -std=c++17" ;;
        esac
        # shellcheck disable=SC2086 # lists of flags
        $compile $common -I"$root" -I"$root/include" -ffile-prefix-map="$root"=. -c "$input" \
            -o "$work/$count.o"
        set -- "$@" "$work/$count.o"
        ;;
    -D* | -I*) common="$common $input" ;;
    *) set -- "$@" "$input" ;;
    esac
done

elf=$work/image
kernel=$lib/libcella_enclave.a
layer=$lib/libcella_enclave_libc.a
# shellcheck disable=SC2086 # lists of flags
case $kind in
none)
    gcc $link -nostdlib -Wl,-e,cella_enclave_entry -Wl,--no-dynamic-linker -o "$elf" "$@" \
        "$kernel" "$lib/libcella_enclave_bare.a"
    ;;
musl)
    gcc $link -nostdlib -nostartfiles -Wl,--no-dynamic-linker -o "$elf" $musl/rcrt1.o $musl/crti.o \
        "$gcc_dir/crtbeginS.o" "$@" -L$musl -Wl,--start-group "$layer" "$kernel" $musl/libc.a -lgcc -lgcc_eh -Wl,--end-group \
        "$gcc_dir/crtendS.o" $musl/crtn.o
    ;;
glibc)
    gcc $link -o "$elf" "$@" -Wl,--start-group "$layer" "$kernel" -Wl,--end-group >"$work/log" 2>&1 ||
        (cat "$work/log" >&2 && false)
    ;;
glibc-c++) g++ $link -o "$elf" "$@" -Wl,--start-group "$layer" "$kernel" -Wl,--end-group ;;
*)
    usage >&2
    exit 2
    ;;
esac
# shellcheck disable=SC2086 # no flags, or some
"$cella" sign "$elf" --config "$config" --key "$key" --date 20260101 --out "$out" \
    ${CELLA_SIGN_FLAGS:-} >/dev/null
