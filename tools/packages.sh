# Sourced by ./run and ./check: the Debian packages they need, installed only when missing.
# shellcheck shell=bash disable=SC2034

# What a build and the demo need.
build_packages=(
    gcc libc6-dev pkg-config meson ninja-build python3
    libevent-dev libjansson-dev libssl-dev libinih-dev libsqlite3-dev libcmocka-dev
)
# What the tests need besides.
test_packages=(
    python3-pytest python3-pytest-timeout python3-cryptography
    clang libclang-rt-dev clang-format shellcheck mandoc systemd dbus libnss-systemd
    binutils util-linux iproute2 procps strace valgrind
)
# What lets other Pythons than Debian's run Debian's pytest.
pyenv_packages=(
    python3-py python3-exceptiongroup python3-importlib-metadata python3-typing-extensions
    python3-zipp python3-more-itertools python3-tomli python3-attr
)
# What the long tests need besides.
long_packages=(clang-tidy)
# What single long tests need, which are skipped where it cannot be had.
oracle_packages=(golang-go golang-github-flynn-noise-dev)
cross_packages=(
    gcc-s390x-linux-gnu libc6-dev-s390x-cross gcc-i686-linux-gnu libc6-dev-i386-cross
    qemu-user mmdebstrap
)

# Prints those of the named packages that are not installed.
missing_packages() {
    local name
    for name in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
            printf '%s\n' "$name"
        fi
    done
}

# Installs the missing ones. Where it can't, prints the command that would and exits 69.
need_packages() {
    local missing command as_root=()
    if ! command -v dpkg-query >/dev/null; then
        printf 'This is not a Debian system: install what these packages hold, by hand:\n  %s\n' "$*" >&2
        exit 69
    fi
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -eq 0 ] && return 0
    command="apt-get install -y --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null || ! { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
            printf 'Packages are missing and this user cannot install them. As root:\n' >&2
            printf '  apt-get update && %s\n' "$command" >&2
            exit 69
        fi
        as_root=(sudo)
    fi
    printf 'Installing %s\n' "${missing[*]}" >&2
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    if ! "${as_root[@]}" apt-get update -qq >&2 ||
        ! "${as_root[@]}" apt-get install -qq -o Dpkg::Use-Pty=0 -y --no-install-recommends \
            "${missing[@]}" </dev/null >&2; then
        printf 'The packages could not be installed. As root:\n  apt-get update && %s\n' \
            "$command" >&2
        exit 69
    fi
}

# The same for packages that one test wants: where it can't, says so and returns 77 (skipped).
want_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    (need_packages "$@") && return 0
    echo "these packages are missing and could not be installed: ${missing[*]}"
    return 77
}

# Configures a build directory that has none yet, and again one of ours whose options have changed.
# setup_build DIRECTORY OPTION...
setup_build() {
    local directory=$1 stamp=$1/setup.options wanted
    shift
    wanted="${CC-} $*"
    if [ -f "$directory/build.ninja" ]; then
        if [ $# -eq 0 ] || [ ! -f "$stamp" ] || [ "$(cat "$stamp")" = "$wanted" ]; then
            return 0
        fi
        find "$directory" -mindepth 1 ! -name '*.log' -delete
    fi
    meson setup "$directory" "$@" && printf '%s' "$wanted" >"$stamp"
}
