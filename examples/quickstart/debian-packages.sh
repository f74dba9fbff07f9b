# Sourced by examples/quickstart.sh and tests/run.sh: the Debian 12 packages that build and tests need.

build_packages=(
  ca-certificates ccache cmake g++ git make ninja-build pkg-config  # make: for the README's first projection
  libboost-dev          # headers: Boost.Beast, Boost.DLL, Boost.UUID
  libcli11-dev          # command line
  libfmt-dev            # messages
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc
  libre2-dev            # regular expressions of the embedded log's filters
  libsodium-dev         # SHA-256, check sums
  libspdlog-dev
  libsqlite3-dev
  libtomlplusplus-dev
  nlohmann-json3-dev    # the API, tests
  libgmock-dev libgtest-dev  # tests
)
test_packages=(
  libfaketime
  libpq-dev postgresql-15  # a dependency of a plugin that can fail in earnest; without a cluster of the machine's
  openssl  # a CA for the tests of TLS
  sqlite3
)
lint_packages=(clang clang-format clang-tidy)
fuzz_packages=(clang libclang-rt-dev lld)  # libFuzzer and clang's sanitizers; what links programs with sanitizers

# install_packages NAME...: installs those of the packages that are missing; does nothing, and needs
# neither root nor a network, where all are there.
install_packages() {
  local missing=() name
  for name in "$@"; do
    if [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
      missing+=("$name")
    fi
  done
  if [ ${#missing[@]} -eq 0 ]; then
    return
  fi
  if ! grep -qs '^VERSION_ID="12"' /etc/os-release; then
    echo "warning: the package names are those of Debian 12, this is" \
      "$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-something else}")" >&2
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "missing packages: found neither root nor sudo; as root run" >&2
      echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "installing ${missing[*]}"
  # No terminal to ask on: a question would wait for ever.
  as_root+=(env DEBIAN_FRONTEND=noninteractive)
  "${as_root[@]}" apt-get -qq -o Dpkg::Use-Pty=0 update </dev/null
  without_cluster "${as_root[@]}" apt-get -qq -o Dpkg::Use-Pty=0 install -y \
    --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

# without_cluster AS_ROOT... apt-get ...: where PostgreSQL is installed, it makes no cluster of the
# machine's, which would start a server: tests make their own. What the machine says of that itself is
# left as it is.
without_cluster() {
  local folder=/etc/postgresql-common/createcluster.d code=0
  local file=$folder/catchup-host-tests.conf as_root=()
  if [[ "$*" != *\ postgresql-* ]]; then
    "$@"
    return
  fi
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  ${as_root[@]+"${as_root[@]}"} mkdir -p "$folder" || return
  echo "create_main_cluster = false" | ${as_root[@]+"${as_root[@]}"} tee "$file" >/dev/null || return
  "$@" || code=$?
  ${as_root[@]+"${as_root[@]}"} rm -f "$file"
  ${as_root[@]+"${as_root[@]}"} rmdir --ignore-fail-on-non-empty "$folder"
  return $code
}
