# What the samples' demonstrations share; sourced by samples/*/demo after `here` is set.
# shellcheck shell=sh disable=SC2034,SC2154 # used, and set, by who sources this
#
#   demo                       host programs as processes
#   demo --container RUNTIME   the same in containers, by runc, crun, podman or docker

runtime=
case "${1:-}" in
--help | -h)
    echo "usage: $here/demo [--container RUNTIME]    after make. PORT=N chooses the port"
    exit 0
    ;;
--container)
    runtime=${2:?which runtime}
    ;;
esac
cella=$(realpath "${CELLA:-build/bin/cella}")
work=$(realpath -m "${WORK:-$here/build}${runtime:+/with-$(basename "$runtime")}")
rm -rf "$work/demo"
mkdir -p "$work/demo/platform"
work=$work/demo
# The software platform's keys: of this demonstration, for hosts here and in containers.
export CELLA_PLATFORM_DIR="$work/platform"
: "${CELLA_QUOTE_ENCLAVES:=$(dirname "$cella")/../quote/enclave}"
export CELLA_QUOTE_ENCLAVES

title() {
    printf '\n%s\n' "$*"
}

fail() {
    echo "  $*" >&2
    exit 1
}

# A folder that containers may write: root's containers run as nobody.
for_containers() {
    mkdir -p "$@"
    if [ -n "$runtime" ] && [ "$(id -u)" = 0 ]; then
        chown -R 65534:65534 "$@"
    fi
}

# A copy of the sample in $work/NAME, with the key KEY, and CONFIGURATION in the place of enclave.conf; built.
build() { # NAME KEY [CONFIGURATION]
    mkdir -p "$work/$1"
    for part in cella.project "$here"/*.edl host enclave shared; do
        [ ! -e "$here/${part##*/}" ] || cp -R "$here/${part##*/}" "$work/$1/"
    done
    [ -z "${3:-}" ] || cp "$here/enclave/$3" "$work/$1/enclave/enclave.conf"
    [ -s "$work/$2.pem" ] || openssl genrsa -3 -out "$work/$2.pem" 3072 2>/dev/null
    echo "key = ../$2.pem" >>"$work/$1/cella.project"
    "$cella" build "$work/$1" >>"$work/build.log" 2>&1 || fail "$(cat "$work/build.log")"
}

# Runs the host of the copy NAME with the rest as its arguments, or the whole program in the file NAME, which finds its folders
# in $work; $volumes: more options for the container.
volumes=
exec=
run() { # NAME ARGUMENT...
    project=$1
    shift
    if [ -f "$work/$project" ] && [ -z "$runtime" ]; then
        $exec env -C "$work" "$cella" run "$project" "$@"
    elif [ -n "$runtime" ]; then
        # shellcheck disable=SC2086 # words on purpose
        $exec "$cella" run --container --runtime "$runtime" --platform "$work/platform" $volumes "$work/$project" -- "$@"
    else
        name=$(sed -n 's/^name = *//p' "$here/cella.project")
        $exec "$work/$project/build/$name" "$work/$project/build/$name.signed" "$@"
    fi
}

# In the background, until the demonstration ends or stop; waits for $ready.
ready=listening
serve() { # NAME ARGUMENT...
    : >"$work/serve.log"
    (exec="exec" && run "$@" >"$work/serve.log" 2>&1) &
    server=$!
    trap stop EXIT
    tries=0
    until grep -q "$ready" "$work/serve.log"; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || fail "the server does not listen: $(cat "$work/serve.log")"
        sleep 0.1
    done
}

stop() {
    kill "$server" 2>/dev/null || return 0
    wait "$server" 2>/dev/null || true
}

# manifest NAME PART OPTION...: what `cella k8s manifest` makes of the copy NAME (or of the image NAME.image of the program
# NAME) is $here/PART.yaml, but for what differs with each build. UPDATE=1 writes that file.
manifest() {
    copy=$1 part=$2
    shift 2
    [ -e "$work/image-of-$copy" ] || "$cella" image "$work/$copy" >"$work/image-of-$copy" 2>&1 || fail "$(cat "$work/image-of-$copy")"
    [ ! -e "$work/${copy%.cella}.image" ] || copy=${copy%.cella}.image
    "$cella" k8s manifest "$work/$copy" "$@" >"$work/made" || fail "no manifest"
    sed -i 's/@sha256:[0-9a-f]*$//; /^# /d; /cella.dev\/mr/d' "$work/made"
    [ -z "${UPDATE:-}" ] || cp "$work/made" "$here/$part.yaml"
    for file in "$work/made" "$here/$part.yaml"; do
        # Sizes follow the enclave's.
        sed 's/"[0-9]*[KM]i"/SIZE/' "$file" >"$work/sized-$(basename "$file")"
    done
    diff "$work/sized-made" "$work/sized-$part.yaml" || fail "$here/$part.yaml is another one: UPDATE=1 $here/demo writes it"
    echo "  $here/$part.yaml"
}

# The step must fail, and say `$1`.
refused() {
    expected=$1
    shift
    if "$@" >"$work/refused.out" 2>&1; then
        fail "NOT REFUSED"
    fi
    grep -q "$expected" "$work/refused.out" || fail "refused for another reason: $(cat "$work/refused.out")"
    grep "$expected" "$work/refused.out" | sed '/[Rr][Ee][Ff][Uu][Ss][Ee][Dd]/!s/^/refused: /; s/^/  /'
}
