#!/bin/bash
# EGo's commands and the Go module, with programs in enclaves on the software processor: signing in place, ids, runs, exit
# statuses, messages, bundles, sealed state, attested TLS verified outside. Skipped without a Go toolchain.
set -eu

if [ "${1:-}" = --help ] || [ $# -ne 2 ]; then
    echo "usage: ego.sh BIN GO_PROGRAMS    (BIN: the folder of ego, ego-go, ego-oesign and cella)"
    exit 2
fi
bin=$(realpath "$1")
programs=$(realpath "$2")
command -v go >/dev/null || export PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || {
    echo "skipped: no Go"
    exit 77
}
work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT INT TERM
export PATH=$bin:$PATH GOFLAGS=-buildvcs=false GOTOOLCHAIN=local GOPROXY=off
export CELLA_PLATFORM_DIR=$work/platform XDG_STATE_HOME=$work/state
unset OE_SIMULATION CELLA_PROCESSOR CELLA_INSECURE_ROOTS EDG_LOG_FORMAT

fail() {
    echo "ego: $*"
    exit 1
}
ego_() { timeout -s KILL 120 ego "$@" 2>"$work/log"; }
is() { # WHAT EXPECTED FOUND
    [ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"
}

cd "$programs"
ego-go build -o "$work/show" ./show
ego-go build -o "$work/server" ./server
ego-go build -o "$work/claims" ./claims
ego-go build -o "$work/marble" ./marble
ego-go build -o "$work/selfmarble" ./selfmarble
go build -o "$work/coordinator" ./coordinator
go build -o "$work/client" ./client
cd "$work"
mkdir data
echo -n "of the host" >data/file
echo -n "measured" >message

# Before anything is signed.
is "signerid, unsigned" "$(printf '%064d' 0)" "$(ego_ signerid show)"
status=0
found=$(OE_SIMULATION=1 ego_ run show) || status=$?
[[ $status = 1 && $found = *"Please sign the binary with 'ego sign'"* ]] || fail "run, unsigned: $status: $found"
grep -Eq '^[0-9/]{10} [0-9:]{8} INFO EGo version=[^ ]+ git_commit=[0-9a-f]{40}$' log || fail "the log line: $(cat log)"
found=$(ego_ sign) && fail "sign without a file"
is "sign without a file" "ERROR: enclave config file not found: enclave.json" "$found"

# The defaults.
size=$(stat -c %s show)
head -c "$size" show >before
found=$(ego_ sign show)
is "sign" $'Generating new enclave.json\nGenerating new private.pem' "$found"
cmp -n "$size" show before || fail "signing changes the program"
[ -f public.pem ] || fail "no public.pem"
python3 -c '
import json
assert json.load(open("enclave.json")) == {"exe": "show", "key": "private.pem", "debug": True, "heapSize": 512,
    "executableHeap": False, "productID": 1, "securityVersion": 1, "mounts": None, "env": None, "files": None}'
is "signerid" "$(ego_ signerid public.pem)" "$(ego_ signerid show)"
id=$(ego_ uniqueid show)
ego-oesign dump -e show | grep -qx "mrenclave=$id" || fail "ego-oesign dump"
ego_ sign show >/dev/null
is "uniqueid, signed again" "$id" "$(ego_ uniqueid show)"
[ "$(./show x | head -1)" = "arguments x" ] || fail "the signed program does not run outside"

# Signed by a manifest, and run.
cat >enclave.json <<'E'
{
    "exe": "show", "key": "private.pem", "debug": true, "heapSize": 16, "productID": 2, "securityVersion": 3,
    "mounts": [
        {"source": "data", "target": "/data", "type": "hostfs", "readOnly": true},
        {"target": "/memory", "type": "memfs"}
    ],
    "env": [
        {"name": "FIXED", "value": "x"}, {"name": "HOSTS", "fromHost": true}, {"name": "BOTH", "value": "own", "fromHost": true},
        {"name": "PWD", "value": "/data"}
    ],
    "files": [{"source": "message", "target": "/etc/message"}]
}
E
ego_ sign >/dev/null || fail "sign: $(cat log)"
[ "$(ego_ uniqueid show)" != "$id" ] || fail "another manifest, the same enclave"
status=0
HOSTS=outside OTHER=no EDG_X=1 OE_SIMULATION=1 ego_ run show fail -v "a b" >found || status=$?
is "exit status" 42 "$status"
cat >expected <<'E'
[erthost] running in simulation mode
[erthost] loading enclave ...
[erthost] entering enclave ...
[ego] starting application ...
arguments fail|-v|a b
BOTH=own
EDG_X=1
FIXED=x
HOSTS=outside
OE_IS_ENCLAVE=1
PWD=/data
in /data
root edg
root etc
/etc/message "measured" <nil>
/data/file "of the host" <nil>
write <nil>
/memory/new "new" <nil>
/edg/mnt/memory/new "new" <nil>
read-only true
E
diff -u expected found || fail "what the program sees"
EDG_LOG_FORMAT=json OE_SIMULATION=1 ego_ run show | head -4 | python3 -c '
import json, sys
assert [json.loads(line)["msg"] for line in sys.stdin][-1] == "[ego] starting application ..."' || fail "JSON lines"

# Refusals.
sed -i 's/"heapSize": 16/"heapSize": 16385/' enclave.json
ego_ sign | grep -q "heapSize is set to more than 16384" || fail "heapSize"
sed -i 's/"heapSize": 16385/"heapsiz": 16/' enclave.json
ego_ sign | grep -q "enclave.json:2:.*unknown field 'heapsiz'; did you mean 'heapSize'?" || fail "unknown field"
status=0
[ -e /dev/sgx_enclave ] || found=$(ego_ run show) || status=$?
[ -e /dev/sgx_enclave ] || [[ $status = 1 && $found = *"failed to open Intel SGX device"* ]] || fail "no device: $found"

# A bundle needs nothing beside it.
ego_ bundle show | grep -qx "Saved bundle as: show-bundle" || fail "bundle"
ego_ bundle show-bundle && fail "a bundle of a bundle"
mkdir alone
mv show-bundle alone/
is "bundle" "arguments y" "$(env -u PATH OE_SIMULATION=1 alone/show-bundle y 2>/dev/null | sed -n 5p)"

# Sealed state and attested TLS, verified outside by Go.
ports=$(python3 -c '
import socket
sockets = [socket.socket() for _ in range(3)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(" ".join("127.0.0.1:%d" % s.getsockname()[1] for s in sockets))')
cat >enclave.json <<'E'
{"exe": "server", "key": "private.pem", "debug": true, "heapSize": 64, "productID": 7, "securityVersion": 1,
 "mounts": [{"source": "data", "target": "/data", "type": "hostfs"}]}
E
ego_ sign >/dev/null || fail "sign server"
cella platform init >/dev/null
cella platform export-root root.pem >/dev/null
cella platform export-collateral collateral >/dev/null
serve() {
    # shellcheck disable=SC2086 # three addresses
    OE_SIMULATION=1 timeout -s KILL 100 ego run server $ports >server.log 2>&1 &
    server=$!
    for _ in $(seq 100); do
        ! grep -q '^listening' server.log || return 0
        sleep 0.1
    done
    fail "the server does not start: $(cat server.log)"
}
serve
# shellcheck disable=SC2086
first=$(timeout 60 ./client root.pem collateral "$(ego_ uniqueid server)" $ports) || fail "client: $(cat server.log)"
[ "$(wc -l <<<"$first")" = 3 ] || fail "client: $first"
grep -Eq '^secret [0-9a-f]{32} of product 7$' <<<"$first" || fail "client: $first"
# shellcheck disable=SC2086
timeout 60 ./client root.pem collateral "$(printf '%064d' 1)" $ports 2>/dev/null && fail "another enclave was accepted"
kill "$server"
wait "$server" 2>/dev/null || true
serve
# shellcheck disable=SC2086
is "the state after a restart" "$first" "$(timeout 60 ./client root.pem collateral "$(ego_ uniqueid server)" $ports)"
kill "$server"
server=

# Reports verified inside; a debug enclave believes this machine's root.
cat >enclave.json <<'E'
{"exe": "claims", "key": "private.pem", "debug": true, "heapSize": 64, "productID": 9, "securityVersion": 5}
E
ego_ sign >/dev/null || fail "sign claims"
OE_SIMULATION=1 ego_ run claims | tail -n +5 >found || fail "claims: $(cat found log)"
cat >expected <<'E'
result 0 0
self true true
attributes 3 version 5 product 16 9 status 0
data "data" info "{\"tcbInfo\":{\"tcbLevels\":[{\"advisoryIDs\":[]}]}}\x00"
altered 8 0
short 26 0
nowhere 14
done
E
diff -u expected found || fail "claims: $(cat log)"
sed -i 's/"debug": true/"debug": false/' enclave.json
ego_ sign >/dev/null
OE_SIMULATION=1 ego_ run claims >found || true
grep -q '^result 0' found && fail "a production enclave believes a root that its host names"

# Marbles: their parameters come from a coordinator that has verified their quotes, before main.
cat >enclave.json <<'E'
{"exe": "marble", "key": "private.pem", "debug": true, "heapSize": 64, "productID": 9, "securityVersion": 5,
 "mounts": [{"source": "data", "target": "/data", "type": "hostfs"}]}
E
ego_ sign >/dev/null || fail "sign marble"
address=${ports%% *}
export EDG_MARBLE_COORDINATOR_ADDR="localhost:${address##*:}" EDG_MARBLE_TYPE=frontend EDG_MARBLE_DNS_NAMES=localhost,frontend.example
export EDG_MARBLE_UUID_FILE="$work/uuid file"
status=0
OE_SIMULATION=1 ego_ marblerun marble >found || status=$?
[ "$status" = 1 ] || fail "marblerun without a coordinator: $status"
grep -q "^\[PreMain\] failed: no coordinator at $EDG_MARBLE_COORDINATOR_ADDR" log || fail "marblerun without a coordinator: $(cat log)"
timeout 100 ./coordinator root.pem collateral "$address" >>coordinator.log 2>&1 &
server=$!
for _ in $(seq 50); do
    (: <"/dev/tcp/${address%:*}/${address##*:}") 2>/dev/null && break
    sleep 0.1
done
truncate -s 0 coordinator.log # what the look has left
OE_SIMULATION=1 ego_ marblerun marble | tail -n +5 >found || fail "marblerun: $(cat log)"
is "marblerun" "[./m arg] s3cret changed content <nil>
1000000 <nil> 36 <nil>
false" "$(cat found)"
is "the coordinator" "marble $(ego_ uniqueid marble) $(cat "$EDG_MARBLE_UUID_FILE") [localhost frontend.example]" "$(cat coordinator.log)"
is "a file on a mount" "1000000 600" "$(stat -c '%s %a' data/large)"
OE_SIMULATION=1 EDG_EGO_PREMAIN=1 ego_ run marble | tail -n +5 | cmp -s - found || fail "marblerun again: $(cat log)"
is "the same UUID" "2 1" "$(wc -l <coordinator.log) $(sort -u coordinator.log | wc -l)"
found=$(OE_SIMULATION=1 ego_ run marble arg | tail -n +5) || true
[[ $found = "[marble arg]  frontend  open /marble/file: "* ]] || fail "a Marble outside its mesh: $found"
status=0
OE_SIMULATION=1 EDG_MARBLE_TYPE=nobody ego_ marblerun marble >found || status=$?
[ "$status" = 1 ] || fail "marblerun, refused: $status"
grep -q '^\[PreMain\] failed: the coordinator refused: INVALID_ARGUMENT: unknown marble type nobody' log || fail "marblerun, refused: $(cat log)"
status=0
OE_SIMULATION=1 EDG_MARBLE_TYPE=ttls ego_ marblerun marble >found || status=$?
[ "$status" = 1 ] || fail "marblerun, TTLS: $status"
grep -q s3cret found && fail "marblerun, TTLS: started"
grep -q '^\[PreMain\] .*transparent TLS' log || fail "marblerun, TTLS: $(cat log)"
echo "no uuid" >"$EDG_MARBLE_UUID_FILE"
status=0
OE_SIMULATION=1 ego_ marblerun marble >found || status=$?
[ "$status" = 1 ] || fail "marblerun, UUID: $status"
grep -q 'uuid file: this holds no UUID' log || fail "marblerun, UUID: $(cat log)"
rm "$EDG_MARBLE_UUID_FILE"
sed -i 's/"exe": "marble"/"exe": "selfmarble"/' enclave.json
ego_ sign >/dev/null || fail "sign selfmarble"
: >coordinator.log
found=$(OE_SIMULATION=1 ego_ marblerun selfmarble | tail -n +5) || true
is "marblerun of a Marble that activates itself" "[./m arg] s3cret content <nil>" "$found"
is "one activation" 1 "$(wc -l <coordinator.log)"
kill "$server"
server=
unset EDG_MARBLE_COORDINATOR_ADDR EDG_MARBLE_TYPE EDG_MARBLE_DNS_NAMES EDG_MARBLE_UUID_FILE

# Installing from a list of one's own.
# shellcheck disable=SC1091
. /etc/os-release
level=nonsgx
if grep -qw sgx /proc/cpuinfo; then
    level=$(grep -qw sgx_lc /proc/cpuinfo && echo flc || echo nonflc)
fi
mkdir list
echo "{\"1.0\": {\"desc\": {\"thing\": \"A thing.\"}, \"commands\": {\"$ID-$VERSION_ID-$level\": {\"thing\": [\"echo yes >$work/installed\"]}}}}" >list/install.json
python3 -c '
import functools, http.server
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="list")
server = http.server.HTTPServer(("127.0.0.1", 0), handler)
print(server.server_port, flush=True)
server.timeout = 60
for _ in range(3): server.handle_request()' >list/port 2>/dev/null &
server=$!
for _ in $(seq 100); do
    [ ! -s list/port ] || break
    sleep 0.1
done
EGO_INSTALL_URL=http://127.0.0.1:$(cat list/port)/install.json
export EGO_INSTALL_URL
ego_ install | grep -Eq '^thing +A thing.$' || fail "install lists: $(cat log)"
echo n | ego_ install thing >/dev/null && fail "installed without asking"
[ ! -e installed ] || fail "installed in spite of no"
echo yes | ego_ install thing | grep -q "Executing: echo yes >$work/installed" || fail "install: $(cat log)"
wait "$server" 2>/dev/null || true
server=
[ -e installed ] || fail "nothing was installed"

# The rest of the commands.
# shellcheck disable=SC2016 # for the inner shell
is "env" "1" "$(ego_ env sh -c 'echo "$CGO_ENABLED"')"
ego_ completion bash | bash -n
[ "$(ego_ --help | grep -c '^  [a-z]* *[A-Z]')" -ge 10 ] || fail "--help"
status=0
ego_ frobnicate || status=$?
is "unknown command" 1 "$status"
grep -q 'unknown command "frobnicate" for "ego"' log || fail "unknown command"
status=0
timeout 60 cella go run "$programs/show/main.go" a >found 2>/dev/null || status=$?
is "cella go run" 0 "$status"
grep -qx "arguments a" found || fail "cella go run: $(cat found)"
echo "ego: as EGo's users know it"
