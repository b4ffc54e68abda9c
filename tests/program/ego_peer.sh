#!/bin/bash
# EGo's own integration test (src/integration_test.sh of a checkout), unmodified, against our commands: what it builds with
# cmake and make is answered by links to them. Needs Go modules from a proxy, so only where EGO_SOURCE is set.
set -eu

if [ "${1:-}" = --help ] || [ $# -ne 1 ]; then
    echo "usage: EGO_SOURCE=CHECKOUT ego_peer.sh BIN"
    exit 2
fi
[ -n "${EGO_SOURCE:-}" ] || {
    echo "skipped: EGO_SOURCE is not set"
    exit 77
}
bin=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
cat >"$work/cmake" <<'E'
#!/bin/sh
for word in "$@"; do
    case $word in -DCMAKE_INSTALL_PREFIX=*) echo "${word#*=}" >.prefix ;; esac
done
E
cat >"$work/make" <<E
#!/bin/sh
[ "\$1" = install ] || exit 0
mkdir -p "\$(cat .prefix)/bin"
for program in ego ego-go ego-oesign; do ln -s "$bin/\$program" "\$(cat .prefix)/bin/"; done
E
chmod +x "$work/cmake" "$work/make"
cp -r "$EGO_SOURCE" "$work/ego"
export PATH=$work:$PATH OE_SIMULATION=1 CELLA_PLATFORM_DIR=$work/platform GOFLAGS=-buildvcs=false
timeout -s KILL 500 bash "$work/ego/src/integration_test.sh"
