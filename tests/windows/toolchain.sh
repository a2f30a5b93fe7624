#!/bin/bash
# Makes what it takes to build dcm for Windows on Linux, and to run it: a compiler, a linker and wine.
# They are taken out of packages of Debian and nothing is installed. Takes 2.5 GB and half a minute, and
# is done once.
#
# usage: toolchain.sh DIR, then . DIR/env.sh
set -euo pipefail
root=$(realpath -m "${1:?usage: toolchain.sh DIR}")
[ -e "$root/ready" ] && exit 0
mkdir -p "$root/debs" "$root/root" "$root/bin"

# The name of a package that another one depends on: it holds a version.
depends() { apt-cache depends "$1" 2>/dev/null | awk -v like="$2" '/Depends:/ && $2 ~ like {print $2; exit}'; }

# Debian's rustc "for the web" is the newest one that it has.
std=$(depends libstd-rust-web-dev '^libstd-rust-web-[0-9]')
if [ -z "$std" ]; then
    apt-get update -q >"$root/apt.log" 2>&1 || { cat "$root/apt.log" >&2; exit 1; }
    std=$(depends libstd-rust-web-dev '^libstd-rust-web-[0-9]')
fi
[ -n "$std" ] || { echo "toolchain.sh: no rustc-web among the packages of this system" >&2; exit 1; }
llvm=$(depends "$std" '^libllvm')
cd "$root/debs"
apt-get download -q rustc-web libstd-rust-web-dev rust-web-src "$std" "$llvm" \
    gcc-mingw-w64-base gcc-mingw-w64-x86-64-posix gcc-mingw-w64-x86-64-posix-runtime \
    binutils-mingw-w64-x86-64 mingw-w64-common mingw-w64-x86-64-dev \
    wine64 libwine libz-mingw-w64 >"$root/apt.log" 2>&1 || { cat "$root/apt.log" >&2; exit 1; }
for package in *.deb; do dpkg -x "$package" "$root/root"; done
cd "$root"
usr=$root/root/usr

cat >bin/rustc <<EOF
#!/bin/sh
LD_LIBRARY_PATH=$usr/lib/x86_64-linux-gnu exec $usr/bin/rustc "\$@"
EOF
chmod +x bin/rustc
ln -sf "$usr/bin/x86_64-w64-mingw32-gcc-posix" bin/x86_64-w64-mingw32-gcc
for tool in ar as ld dlltool nm ranlib strip windres objcopy objdump; do
    ln -sf "$usr/bin/x86_64-w64-mingw32-$tool" "bin/x86_64-w64-mingw32-$tool"
done

# Rust asks a library for random numbers that this wine does not have.
cat >bcryptprimitives.c <<'EOF'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T size) {
    while (size) {
        ULONG part = size > 0x10000000 ? 0x10000000 : (ULONG)size;
        if (!SystemFunction036(bytes, part)) return FALSE;
        bytes += part;
        size -= part;
    }
    return TRUE;
}
BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved) { return TRUE; }
EOF
bin/x86_64-w64-mingw32-gcc -shared -O2 -o bcryptprimitives.dll bcryptprimitives.c -ladvapi32
windows=$root/pfx/drive_c/windows
mkdir -p "$windows/system32" "$windows/syswow64"
cp "$usr/x86_64-w64-mingw32/lib/zlib1.dll" bcryptprimitives.dll "$windows/system32/"
cp "$usr/i686-w64-mingw32/lib/zlib1.dll" "$windows/syswow64/"

ln -sf wineserver64 "$usr/lib/wine/wineserver"
cat >wine.sh <<EOF
#!/bin/bash
export WINEPREFIX=$root/pfx WINEDEBUG=\${WINEDEBUG:--all} WINEARCH=win64 WINEDLLOVERRIDES="mscoree,mshtml="
export WINELOADER=$usr/lib/wine/wine64 WINESERVER=$usr/lib/wine/wineserver64
exec \$WINELOADER "\$@"
EOF
chmod +x wine.sh
cat >env.sh <<EOF
export PATH=$root/bin:\$PATH RUSTC=$root/bin/rustc RUSTC_BOOTSTRAP=1
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=$root/wine.sh
export CC_x86_64_pc_windows_gnu=x86_64-w64-mingw32-gcc AR_x86_64_pc_windows_gnu=x86_64-w64-mingw32-ar
EOF
./wine.sh wineboot -i >/dev/null 2>&1
rm -rf debs
touch ready
