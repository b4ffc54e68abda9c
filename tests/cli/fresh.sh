#!/bin/sh
# Runs the lines of "From a fresh machine" in docs/containers.md, as they are but for the port, under each container runtime
# that works here. fresh.sh CONTAINERS.md; $CELLA. Status 77 (skipped) where there is none.
set -eu
document=$(realpath "$1")
folder=$(mktemp -d)
pid=
clean() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean EXIT
mkdir "$folder/bin"
ln -s "$CELLA" "$folder/bin/cella"
: "${CELLA_QUOTE_ENCLAVES:=$(dirname "$CELLA")/../quote/enclave}"
export CELLA_QUOTE_ENCLAVES PATH="$folder/bin:$PATH" XDG_STATE_HOME="$folder/state"
unset CELLA_PLATFORM_DIR

# shellcheck disable=SC2016 # a fence of the document
sed -n '/^## From a fresh machine/,/^## Images/p' "$document" | sed -n '/^```/,/^```/p' | grep -v '^```' |
    sed 's/7443/27443/g' >"$folder/lines"
[ "$(wc -l <"$folder/lines")" = 5 ] || {
    echo "expected five lines:"
    cat "$folder/lines"
    exit 1
}

line() {
    sed -n "$1p" "$folder/lines"
}

# Waits as a person would, until the server says that it is there. 77: no containers here.
wait_for_server() {
    tries=0
    until grep -q listening log; do
        tries=$((tries + 1))
        if [ $tries = 300 ] || grep -qs "^State:.Z" "/proc/$pid/status"; then
            grep -qi "permitted\|cgroup\|permission denied" log && return 77
            cat log
            return 1
        fi
        sleep 0.1
    done
}

walk() { # RUNTIME [COMMAND...]
    runtime=$1
    shift
    mkdir "$folder/$(basename "$runtime")"
    cd "$folder/$(basename "$runtime")"
    eval "$(line 1)"
    eval "$(line 2)" >image.log 2>&1
    started=$(line 3 | sed "s|--container|--container --runtime $runtime|; s| *&\$||")
    : >log
    "$@" sh -c "exec $started" >log 2>&1 &
    pid=$!
    wait_for_server || return $?
    eval "$(line 4)"
    eval "$(line 5)" >verdict
    enclave=$(sed -n 's/^mrenclave *//p' image.log | tail -1)
    if ! grep -q ACCEPTED verdict || ! grep -q "MRENCLAVE *$enclave" verdict; then
        cat verdict
        return 1
    fi
    digest=$(sed -n 's/.*latest  sha256:\(................\).*/\1/p' image.log)
    [ -d "hello/build/container/rootfs-$digest" ] || {
        echo "the container is of another image than $digest"
        return 1
    }
    kill "$pid"
    wait "$pid" || true
    pid=
    echo "$(basename "$runtime"): accepted"
}

worked=0
for name in runc crun; do
    program=$(PATH=$PATH:/usr/sbin:/sbin command -v $name) || continue
    status=0
    walk "$program" || status=$?
    if [ $status != 0 ] && grep -q "hybrid mode" log && [ "$(id -u)" = 0 ]; then
        # Both versions of cgroups are mounted here: only the older in a mount namespace of its own.
        rm -rf "${folder:?}/$name"
        status=0
        walk "$program" unshare -m sh -c 'umount -l /sys/fs/cgroup/unified && exec "$@"' sh || status=$?
    fi
    case $status in
    0) worked=$((worked + 1)) ;;
    77) echo "$name: may not work here" ;;
    *) exit 1 ;;
    esac
done
[ $worked -gt 0 ] || exit 77
