#!/bin/sh
# Installs dcm from the unpacked files of a release.
#
# usage: ./install.sh [--prefix DIR]      without it /usr/local
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=/usr/local
if [ "${1:-}" = --prefix ] && [ $# = 2 ]; then
    prefix=$2
elif [ $# -gt 0 ]; then
    echo "usage: ./install.sh [--prefix DIR]" >&2
    exit 2
fi
mkdir -p "$prefix/bin" 2>/dev/null && [ -w "$prefix/bin" ] || {
    echo "install: $prefix/bin cannot be written to; sudo ./install.sh, or ./install.sh --prefix ~/.local" >&2
    exit 1
}
# Renamed into its place: a program that runs cannot be overwritten, and goes on as it was.
install -m 755 "$here/dcm" "$prefix/bin/dcm.new"
mv -f "$prefix/bin/dcm.new" "$prefix/bin/dcm"
place() {
    mkdir -p "$2" && install -m 644 "$1" "$2/$3"
}
place "$here/completions/dcm.bash" "$prefix/share/bash-completion/completions" dcm
place "$here/completions/dcm.zsh" "$prefix/share/zsh/site-functions" _dcm
place "$here/completions/dcm.fish" "$prefix/share/fish/vendor_completions.d" dcm.fish
for page in "$here"/man/*.1; do
    [ ! -e "$page" ] || place "$page" "$prefix/share/man/man1" "${page##*/}"
done
place "$here/LICENSE" "$prefix/share/doc/dcm" LICENSE
echo "$("$prefix/bin/dcm" --version) is installed as $prefix/bin/dcm"
case ":$PATH:" in
    *":$prefix/bin:"*) ;;
    *) echo "$prefix/bin is not in PATH" ;;
esac
echo "next: dcm demo, or as a service: dcm service install"
