#!/bin/bash
# Makes in DIRECTORY the keys and certificates that the tests of TLS use:
#
#   tests/tls/ca.sh DIRECTORY
#
# ca.pem, other-ca.pem  two CAs; whatever is not said to be of the other is of the first
# NAME.pem, NAME.key    localhost (and 127.0.0.1, ::1), named (localhost by that name alone),
#                       elsewhere (another host's), expired, stranger (localhost's, of the other CA),
#                       client, client2
set -euo pipefail
cd "$1"

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
    -addext basicConstraints=critical,CA:TRUE -keyout "$1.key" -out "$1.pem" 2>/dev/null
}

# certificate NAME CA NAMES [DAYS]
certificate() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
    -keyout "$1.key" -out "$1.csr" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days "${4-2}" \
    -extfile <(printf 'subjectAltName=%s\n' "$3") -out "$1.pem" 2>/dev/null
  rm "$1.csr"
}

authority ca
authority other-ca
certificate localhost ca DNS:localhost,IP:127.0.0.1,IP:::1
certificate named ca DNS:localhost
certificate elsewhere ca DNS:elsewhere.example
certificate expired ca DNS:localhost,IP:127.0.0.1 -1
certificate stranger other-ca DNS:localhost,IP:127.0.0.1
certificate client ca DNS:client.example
certificate client2 ca DNS:client2.example
