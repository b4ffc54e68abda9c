#!/bin/sh
# Generated bridges of every attribute: clang's boundary pass (host memory cannot be dereferenced) and gcc's taint analysis.
set -eu

if [ "${1:-}" = --help ] || [ $# -ne 2 ]; then
    echo "usage: tests/edl_bridge/check-bridges.sh ROOT FOLDER    (FOLDER has one folder of generated code for each dialect)"
    exit 2
fi
root=$1
folder=$2
status=0
for dialect in cella openenclave intel; do
    for file in "$folder/$dialect"/*_t.c; do
        includes="-I$folder/$dialect -I$root/tests/edl_bridge -I$root -I$root/include -I$root/include/intel"
        # shellcheck disable=SC2086 # lists of flags
        if ! ${CLANG:-clang} -fsyntax-only -std=c11 -DCELLA_CHECK_BOUNDARY -fPIE -Wall -Wextra -Werror -Werror=noderef $includes "$file"; then
            echo "check-bridges: $file: the boundary pass" >&2
            status=1
        fi
        # shellcheck disable=SC2086
        if ! gcc -fsyntax-only -O1 -std=c11 -fanalyzer -fanalyzer-checker=taint -Wall -Wextra -Werror $includes -c "$file" -o /dev/null; then
            echo "check-bridges: $file: the taint analysis" >&2
            status=1
        fi
    done
done
for file in bridge bridge_deep bridge_ocall slice; do
    for checker in "" -fanalyzer-checker=taint; do
        # shellcheck disable=SC2086
        if ! gcc -O1 -std=gnu17 -D_GNU_SOURCE -ffreestanding -mgeneral-regs-only -fanalyzer $checker -Wall -Wextra -Werror \
            -I"$root" -I"$root/include" -c "$root/enclave/$file.c" -o /dev/null; then
            echo "check-bridges: enclave/$file.c: the analyzer $checker" >&2
            status=1
        fi
    done
done
exit $status
