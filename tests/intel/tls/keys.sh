#!/bin/sh
# Puts fresh keys into enclave.c. Called by installed.sh.
set -eu
if [ "${1:-}" = --help ]; then
    echo "usage: keys.sh    in the folder of a copy of the project"
    exit 0
fi
line() {
    awk '{printf "%s\\\\n", $0}'
}
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt >secret.pem
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt >other.pem
sed -i "s|@SECRET@|$(line <secret.pem)|; s|@OTHER@|$(line <other.pem)|; s|@PUBLIC@|$(openssl pkey -in secret.pem -pubout | line)|" enclave.c
