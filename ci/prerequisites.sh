# shellcheck shell=bash
# What the scripts of this directory need from the machine: to be sourced, never run. It changes nothing by itself.

say() {
  printf '%s: %s\n' "${0##*/}" "$*"
}

# Prints a message and its hints, one a line, and ends the script: `give_up STATUS MESSAGE [HINT]…`.
give_up() {
  local status=$1
  printf '%s: %s\n' "${0##*/}" "$2" >&2
  shift 2
  (($# == 0)) || printf '  hint: %s\n' "$@" >&2
  exit "$status"
}

is_root() {
  [[ $(id -u) == 0 ]]
}

has() {
  command -v "$1" >/dev/null 2>&1
}

# One lock file a user, not a checkout, because the engine and its images are shared by all checkouts.
lock_file() {
  printf '%s/envrun-ci-%s-%s.lock' "${TMPDIR:-/tmp}" "$1" "$(id -u)"
}

# Runs a command while no other script of this user runs one under the same lock name. The lock's descriptor is closed in
# the command (-o), because a daemon started by it would otherwise hold the lock for as long as it lives.
alone() {
  local name=$1
  shift
  if has flock; then
    flock -o "$(lock_file "$name")" "$@"
  else
    "$@"
  fi
}

# Ends a command after so many seconds, where the machine has the means to.
bounded() {
  local seconds=$1
  shift
  if has timeout; then
    timeout "$seconds" "$@"
  else
    "$@"
  fi
}

# Installs Debian packages: `install_packages WHY PACKAGE…`. The lists are fetched only where the installation fails
# without, which it does on a fresh machine (no lists) and where the lists are too old.
install_packages() {
  local why=$1
  shift
  if ! has apt-get; then
    give_up 1 "$why needs a program that is not installed, and this system has no apt-get" \
      "install what corresponds to Debian's packages: $*"
  fi
  if ! is_root; then
    give_up 1 "$why needs a program that is not installed, and installing it takes root" \
      "run: sudo apt-get install $*"
  fi
  say "installing $* for $why"
  local log
  log=$(mktemp)
  if ! quiet_apt_get install -y --no-install-recommends "$@" >"$log" 2>&1; then
    if ! { quiet_apt_get update && quiet_apt_get install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
      tail -n 20 "$log" >&2
      rm -f "$log"
      give_up 1 "installing $* failed, see above"
    fi
  fi
  rm -f "$log"
}

# The lock of apt itself does not cover `update`, so two scripts would disturb each other without ours.
quiet_apt_get() {
  DEBIAN_FRONTEND=noninteractive alone apt apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

# Makes sure that cargo and a linker are there, and that the compiler is new enough for this crate. To be called from the
# repository's top, where a toolchain file would be found.
require_toolchain() {
  # A shell that is not a login shell often lacks the directory where rustup puts cargo.
  if ! has cargo && [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
  fi
  local wanted
  wanted=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' Cargo.toml)
  if ! has cargo || ! has rustc; then
    give_up 1 "no Rust toolchain was found, and ${wanted:-a current version} or newer is needed" \
      "get it from https://rustup.rs: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
  fi
  local version
  version=$(rustc --version) || give_up 1 "rustc does not run, see above"
  version=${version#rustc }
  version=${version%%[ -]*}
  if [[ -n $wanted ]] && ! at_least "$version" "$wanted"; then
    give_up 1 "the Rust toolchain is version $version, and $wanted or newer is needed" \
      "with rustup: rustup update stable" "without it, get it from https://rustup.rs"
  fi
  has cc || install_packages "linking Rust programs" gcc libc6-dev
}

# Whether dotted version $1 is $2 or newer. Written out because `sort -V` is not everywhere.
at_least() {
  local -a have want
  IFS=. read -r -a have <<<"$1"
  IFS=. read -r -a want <<<"$2"
  local place
  for place in 0 1 2; do
    if ((${have[place]:-0} != ${want[place]:-0})); then
      ((${have[place]:-0} > ${want[place]:-0}))
      return
    fi
  done
}
