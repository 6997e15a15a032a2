# shellcheck shell=bash
# What the scripts of this directory share. Source it, do not run it.
# The caller has already said `set -euo pipefail`.

# The root of the checkout.
BRIM_ROOT=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
readonly BRIM_ROOT

# ---- messages: all on stderr, so that stdout stays free for results ----

if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
    readonly bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
else
    readonly bold='' red='' plain=''
fi

step() { printf '%s==> %s%s\n' "$bold" "$*" "$plain" >&2; }
say() { printf '    %s\n' "$*" >&2; }
warn() { printf '%s%s: %s%s\n' "$red" "${0##*/}" "$*" "$plain" >&2; }

die() {
    warn "$*"
    exit 1
}

wrong_usage() {
    warn "$* Try: ${0##*/} --help"
    exit 2
}

have() { command -v -- "$1" >/dev/null 2>&1; }

# ---- cleaning up: what is begun last is ended first ----

declare -a deferred=()

# defer COMMAND ARG…: run this when the script ends, however it ends.
defer() {
    local line
    printf -v line '%q ' "$@"
    deferred+=("$line")
}

run_deferred() {
    local status=$? i
    trap - EXIT
    trap '' INT TERM HUP
    for ((i = ${#deferred[@]} - 1; i >= 0; i--)); do
        eval "${deferred[i]}" || true
    done
    exit "$status"
}

trap run_deferred EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# fresh_directory VARIABLE NAME: makes a private directory that is removed at the end.
fresh_directory() {
    local -n made=$1
    made=$(mktemp -d -- "${TMPDIR:-/tmp}/brim-$2.XXXXXX") || die "cannot make a temporary directory under ${TMPDIR:-/tmp}."
    defer rm -rf -- "$made"
}

# stop_process PID SECONDS: asks this child to end, and insists after SECONDS.
stop_process() {
    local pid=$1 tenths=$(($2 * 10))
    kill -TERM "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do
        if ((tenths-- <= 0)); then
            warn "process $pid did not end by itself: it is killed."
            kill -KILL "$pid" 2>/dev/null || true
            break
        fi
        sleep 0.1
    done
    wait "$pid" 2>/dev/null || true
}

# ---- what must be on the machine ----

# install_packages PACKAGE…: through apt, as root or with sudo.
install_packages() {
    local -a apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600)
    have apt-get || die "missing on this machine: $*. This is no Debian: install what corresponds to these packages, then try again."
    if ((EUID != 0)); then
        have sudo || die "missing on this machine: $*. Run as root: apt-get install $*"
        apt=(sudo "${apt[@]}")
    fi
    step "Installing $*"
    # The lists may be missing or old: only then are they fetched.
    "${apt[@]}" install --yes --no-install-recommends "$@" >/dev/null 2>&1 </dev/null && return
    "${apt[@]}" update >/dev/null </dev/null || warn "apt-get update failed; trying with the lists that are there."
    "${apt[@]}" install --yes --no-install-recommends "$@" >/dev/null </dev/null ||
        die "apt-get could not install $*: see above."
}

has_library() { pkg-config --exists "$1" 2>/dev/null; }

# Installs the Debian packages that a build and the scripts need. Asks what is there, not who put it there, and
# runs nothing when all of it is.
need_packages() {
    local -a missing=()
    have git || missing+=(git)
    have curl || missing+=(curl) # also brings libcurl and OpenSSL 3 for mongod
    have python3 || missing+=(python3)
    have pkg-config || missing+=(pkg-config)
    has_library libbson-1.0 || missing+=(libbson-dev)
    has_library libmongoc-1.0 || missing+=(libmongoc-dev)
    has_library sqlite3 || missing+=(libsqlite3-dev)
    has_library zlib || missing+=(zlib1g-dev)
    compgen -G '/usr/lib/gcc/*/*/libstdc++.so' >/dev/null || missing+=(g++)
    ((${#missing[@]} == 0)) || install_packages "${missing[@]}"
}

need_pip() {
    python3 -m pip --version >/dev/null 2>&1 || install_packages python3-pip
}

# For tests, which look into MongoDB as people do: finds a python3 that has pymongo, and exports it as BRIM_TEST_PYTHON.
# The first on PATH may be another one than Debian's, for which Debian has the package.
need_pymongo() {
    local python
    for python in python3 /usr/bin/python3 install; do
        if [[ $python == install ]]; then
            install_packages python3-pymongo
            python=/usr/bin/python3
        fi
        if "$python" -c 'import pymongo' >/dev/null 2>&1; then
            export BRIM_TEST_PYTHON=$python
            return
        fi
    done
    die "no python3 with pymongo was found."
}

# For tests that break things: networks and disks of their own, and clocks that are wrong.
need_fault_tools() {
    local -a missing=()
    # Where Debian has them, for root only.
    PATH=$PATH:/usr/sbin:/sbin
    have ip || missing+=(iproute2)
    have nft || missing+=(nftables)
    have mkfs.ext4 || missing+=(e2fsprogs)
    have xfs_io || missing+=(xfsprogs)
    compgen -G '/usr/lib/*/datefudge/datefudge.so' >/dev/null || missing+=(datefudge)
    ((${#missing[@]} == 0)) || install_packages "${missing[@]}"
}

# Finds `swift` and makes sure that it is new enough.
need_swift() {
    local advice="Install it from https://www.swift.org/install/linux/ and put it on PATH." found major minor
    local swiftly="${SWIFTLY_BIN_DIR:-$HOME/.local/share/swiftly/bin}"
    if ! have swift && [[ -x $swiftly/swift ]]; then PATH=$swiftly:$PATH; fi
    have swift || die "Swift was not found: BrimFS is built with Swift 6.2 or newer. $advice"
    # An unpacked toolchain may lack the libraries that its package manager needs.
    swift build --version >/dev/null 2>&1 || install_packages libncurses6 libxml2 libedit2 tzdata
    found=$(swift build --version 2>&1) || die "Swift does not run: $found. Install what it lacks."
    found=$(sed -nE 's/.*Swift ([0-9]+)\.([0-9]+).*/\1 \2/p' <<<"$found")
    read -r major minor _ <<<"$found 0 0"
    ((major > 6 || (major == 6 && minor >= 2))) ||
        die "Swift ${major}.${minor} is too old: the packages BrimFS builds on (hummingbird, async-http-client) need Swift 6.2 or newer. $advice"
}

# Flags of every build. SwiftPM builds all anew when a terminal comes or goes, for the colour of messages.
# shellcheck disable=SC2034  # used by the scripts that read this
readonly build_flags=(--no-color-diagnostics)

# Everything that building and running BrimFS needs; sets and exports BRIM_MONGOD.
prepare_machine() {
    need_packages
    need_swift
    BRIM_MONGOD=$("$BRIM_ROOT/deploy/get-mongod") || exit 1
    export BRIM_MONGOD
}

# ---- the program ----

# Builds brim as it is used; sets and exports BRIM.
build_brim() {
    local -a quiet=()
    if [[ ! -t 1 ]]; then quiet=(--quiet); fi
    step "Building brim (the first time takes some minutes)"
    cd -- "$BRIM_ROOT" || exit
    swift build -c release --product brim "${build_flags[@]}" "${quiet[@]}" >&2 || die "the build failed: see above."
    BRIM="$(swift build -c release --show-bin-path)/brim"
    export BRIM
}

# Settings of another swarm in the environment must not reach one that a script starts.
forget_other_swarms() {
    local variable
    for variable in "${!BRIM_@}"; do
        case $variable in
        BRIM_ROOT | BRIM_MONGOD) ;;
        *) unset -v "$variable" ;;
        esac
    done
}
