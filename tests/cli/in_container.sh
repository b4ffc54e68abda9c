#!/bin/sh
# Runs a sample's demonstration in containers of one runtime. in_container.sh RUNTIME DEMO; status 77 (skipped) where that
# runtime is not there or may not work.
# As root, in a network namespace of the demonstration's own: its containers have one loopback and nothing else.
set -u
if [ "${APART:-}" = "" ] && unshare -n ip link set lo up 2>/dev/null; then
    APART=yes exec unshare -n sh -c 'ip link set lo up && exec "$@"' sh "$0" "$@"
fi
runtime=$(PATH=$PATH:/usr/sbin:/sbin command -v "$1") || {
    echo "skipped: $1 is not installed"
    exit 77
}
demo=$2
probe=$WORK/probe-$1
[ -d "$probe" ] || (mkdir -p "$WORK" && cd "$WORK" && "$CELLA" new "probe-$1" --libc musl) || exit 1
said=$("$CELLA" run --container --runtime "$runtime" "$probe" 2>&1)
if echo "$said" | grep -q "hybrid mode" && [ "$(id -u)" = 0 ]; then
    # Both versions of cgroups are mounted here: only the older in a mount namespace of its own.
    exec unshare -m sh -c 'umount -l /sys/fs/cgroup/unified && exec "$@"' sh "$demo" --container "$runtime"
fi
case $said in
*Hello*) exec "$demo" --container "$runtime" ;;
*ermitted* | *cgroup* | *"ermission denied"*)
    echo "skipped: $runtime may not work here: $said"
    exit 77
    ;;
esac
echo "$said"
exit 1
