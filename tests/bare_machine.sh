#!/bin/bash
# Proves the README's two commands and its first projection on a bare Debian 12: makes a minimal root
# with mmdebstrap, puts this tree into it as a newcomer would have it, and runs both commands there.
# Needs root, mmdebstrap and a mirror, which is the one of this machine's own APT configuration.
#
#   tests/bare_machine.sh [--quick] [--ccache DIRECTORY] [CASE]...
#
# The cases, all of them where none is named; each begins with a fresh root:
#   root   as root, with the umask 022
#   umask  as root, with the umask 002
#   sudo   as a user who has sudo
#
# --quick   examples/quickstart.sh, the product's install and the README's first projection only: what
#           else tests/run.sh builds and tests does not depend on the case
# --ccache  a compiler cache to begin with, which stays as it is: the cases share a copy of it. Otherwise
#           the first case compiles everything, and the next ones find that in a cache of this run
#
# The root lies below TMPDIR (or /tmp) and needs about 4 GB beside that copy. Mounts are made in a mount
# namespace and processes run in a process namespace, so that both end with this script, however it
# ends.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly release=bookworm
readonly components=main
readonly user=newcomer

fail() {
  echo "bare_machine: $*" >&2
  exit 1
}

# The sources of the release that this machine's APT knows, as one-line entries, whatever files and
# formats they come from. APT tells only those whose lists it has, so it fetches them, aside.
apt_sources() {
  local aside=(-o Dir::State::lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache")
  mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
  apt-get "${aside[@]}" -o APT::Sandbox::User=root -qq update >&2
  apt-get "${aside[@]}" indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v release="$release" -v component="$components" '
      ($2 == release || $2 == release "-updates" || $2 == release "-security") &&
        $3 == component { print "deb", $1, $2, $3 }' | sort -u
}

# How this machine fetches: proxies, and whether the dates of a frozen mirror count.
apt_options() {
  apt-config dump Acquire | grep -E '^Acquire::(http|https|ftp|Check-Valid-Until|Check-Date|Retries)' ||
    true
}

# What git tracks or would track, as it stands here. Without git: all but what is built.
tree() {
  if [ -e .git ] && command -v git >/dev/null; then
    git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
      [ ! -e "$file" ] || printf '%s\0' "$file"
    done
  else
    find . -path ./build -prune -o -type f -print0
  fi | tar --null -T - -c
}

# --- In the namespaces of one case -----------------------------------------------------------------

# in_root COMMAND...: in the minimal root, with nothing of this machine's environment. What one case
# compiled, another finds in the cache, though its user's home is another and its files are not its own.
in_root() {
  local as=()
  [ "$case" != sudo ] || as=(setpriv --reuid "$user" --regid "$user" --init-groups)
  chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME="$home" LANG=C.UTF-8 TERM=dumb CCACHE_DIR=/var/cache/ccache CCACHE_UMASK=000 \
    CCACHE_BASEDIR="$home" CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=0 ${as[@]+"${as[@]}"} "$@"
}

# Its mounts go with the namespace. The root is a mount itself, so that tests in it can make mounts.
mount_root() {
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
  ln -sf pts/ptmx "$root/dev/ptmx"
  mkdir -p "$root/var/cache/ccache"
  mount --bind "$ccache" "$root/var/cache/ccache"
}

run_case() {
  local umask=022
  [ "$case" != umask ] || umask=002
  home=/root
  if [ "$case" = sudo ]; then
    home=/home/$user
    chroot "$root" useradd --create-home --shell /bin/bash "$user"
    echo "$user ALL=(ALL) NOPASSWD: ALL" >"$root/etc/sudoers.d/$user"
    chmod 0440 "$root/etc/sudoers.d/$user"
  fi
  mount_root
  local source=$home/catchup-host
  local commands=(examples/quickstart.sh tests/run.sh)
  [ "$quick" = no ] || commands=(examples/quickstart.sh)
  # With modes of the umask's, as a clone has.
  tree | in_root bash -c "umask $umask && mkdir '$source' && cd '$source' &&
    tar -x --no-same-owner --no-same-permissions"
  for command in "${commands[@]}"; do
    local begin=$SECONDS
    printf '\n== bare machine, %s: %s\n' "$case" "$command"
    in_root bash -c "umask $umask && cd '$source' && $command" ||
      fail "$case: $command failed"
    printf '== bare machine, %s: %s: ok after %d s\n' "$case" "$command" $((SECONDS - begin))
  done
  if [ "$quick" = yes ]; then
    printf '\n== bare machine, %s: the first projection\n' "$case"
    in_root bash -c "umask $umask && cd '$source' &&
      tests/readme/first_projection.sh README.md build/release build/first_projection" ||
      fail "$case: the README's first projection failed"
  fi
}

# --- Outside ---------------------------------------------------------------------------------------

quick=no
ccache=
cases=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=yes ;;
    --ccache)
      [ $# -gt 1 ] && [ -d "$2" ] || fail "--ccache: wanted a directory"
      ccache=$(realpath "$2")
      shift
      ;;
    root | umask | sudo) cases+=("$1") ;;
    --in-namespace) # of this script's own: CASE ROOT CCACHE QUICK
      case=$2 root=$3 ccache=$4 quick=$5
      run_case
      exit
      ;;
    *)
      echo "usage: tests/bare_machine.sh [--quick] [--ccache DIRECTORY] [root] [umask] [sudo]; found $1" >&2
      exit 2
      ;;
  esac
  shift
done
[ ${#cases[@]} -gt 0 ] || cases=(root umask sudo)

[ "$(id -u)" -eq 0 ] || fail "found user $(id -un), wanted root: mounts and a root of one's own need it"
for command in mmdebstrap apt-get unshare; do
  command -v "$command" >/dev/null ||
    fail "found no $command, wanted Debian's: apt-get install mmdebstrap apt util-linux"
done
unshare --mount --pid --fork true 2>/dev/null ||
  fail "this machine lets root make no mount and process namespaces (a container without CAP_SYS_ADMIN?)"

work=$(mktemp -d "${TMPDIR:-/tmp}/catchup-bare.XXXXXX")
child=
cleanup() {
  # The namespaces' first process dies with unshare, and with it all that runs or is mounted there.
  [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
  wait 2>/dev/null
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Waits so that a signal is heard at once.
in_namespace() {
  unshare --mount --propagation private --pid --fork --kill-child "$@" &
  child=$!
  local code=0
  wait "$child" || code=$?
  child=
  return "$code"
}

apt_sources >"$work/sources.list"
[ -s "$work/sources.list" ] ||
  fail "APT's configuration here names no source of Debian 12 ($release), wanted one to install from"
apt_options >"$work/apt.conf"
mkdir "$work/ccache"
if [ -n "$ccache" ]; then
  # Not the configuration and not the log beside it: they may name what is not in the root.
  (cd "$ccache" && find . -maxdepth 1 -name '[0-9a-f]' -print0 |
    xargs -0 -r cp -a --reflink=auto --target-directory="$work/ccache") ||
    fail "the compiler cache $ccache could not be copied to $work/ccache"
fi
chmod -R a+rwX "$work/ccache"  # the cases run as several users

# Nothing but what APT itself needs, less than any image has; sudo only where its user is tried.
for case in "${cases[@]}"; do
  begin=$SECONDS
  root=$work/$case
  include=ca-certificates
  [ "$case" != sudo ] || include+=,sudo
  TMPDIR=$work in_namespace mmdebstrap --quiet --mode=root --variant=apt --include="$include" \
    --aptopt="$work/apt.conf" "$release" "$root" "$work/sources.list" ||
    fail "$case: mmdebstrap made no root"
  cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
  printf '== bare machine, %s: a minimal root after %d s\n' "$case" $((SECONDS - begin))
  in_namespace tests/bare_machine.sh --in-namespace "$case" "$root" "$work/ccache" "$quick" ||
    fail "$case: failed, see above"
  rm -rf --one-file-system "$root"
done
printf '\n== bare machine: ok: %s\n' "${cases[*]}"
