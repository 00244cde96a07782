# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The guest's kernel: Debian's stock one, downloaded and unpacked into a cache, never installed. The cache is shared by
# all runs of this user: made under a lock, moved into place whole.
#   kernel/image, kernel/modules/   the kernel; the modules the guest loads, in loading order
#   initrd-CHECKSUM                 an initramfs of those modules, busybox and guest/init

kernel_cache=${BELAY_GUEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-~}/.cache}/belay/guest-kernel}
kernel_init=${BASH_SOURCE[0]%/*}/init

# rdma_rxe of some kernels asks for the crc32 module by a name that only crc32_generic answers to; others lack it.
kernel_modules=(virtio_pci 9p 9pnet_virtio overlay dummy virtio_net crc32_generic rdma_rxe rdma_ucm ib_uverbs)
kernel_modules_optional=" crc32_generic "

# Sets kernel_image and kernel_initrd, made first where the cache lacks them.
kernel_provide() {
    local lock
    mkdir -p "$kernel_cache" || return 1
    kernel_image=$kernel_cache/kernel/image
    kernel_initrd=$kernel_cache/initrd-$(sha256sum <"$kernel_init" | cut -c 1-16)
    [[ -e $kernel_image && -e $kernel_initrd ]] && return
    exec {lock}>"$kernel_cache/lock"
    flock "$lock"
    { [[ -e $kernel_image ]] || kernel_unpack; } && { [[ -e $kernel_initrd ]] || kernel_pack_initrd; }
    local status=$?
    exec {lock}>&-
    return "$status"
}

kernel_unpack() {
    local work status=0
    work=$(mktemp -d "$kernel_cache/work.XXXXXX") || return 1
    kernel_download "$work" &&
        dpkg -x "$work"/linux-image-*.deb "$work/package" &&
        mkdir -p "$work/kernel/modules" &&
        kernel_decompress "$work"/package/boot/vmlinuz-* "$work/kernel/image" &&
        kernel_pick_modules "$work/package" "$work/kernel/modules" &&
        mv "$work/kernel" "$kernel_cache/kernel" || status=1
    rm -rf "$work"
    return "$status"
}

kernel_package() {
    apt-cache depends --important linux-image-amd64 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }'
}

# Package lists age: the second try is with fresh ones.
kernel_download() {
    echo "softroce: downloading Debian's kernel into $kernel_cache (once)" >&2
    kernel_download_once "$1" 2>/dev/null ||
        { packages_apt update && kernel_download_once "$1"; } ||
        { echo "softroce: the package linux-image-amd64 stands for could not be downloaded" >&2; return 1; }
}

kernel_download_once() {
    local package
    package=$(kernel_package)
    [[ -n $package ]] && (cd "$1" && apt-get -q download "$package" >/dev/null)
}

# Unwraps the ELF image in a bzImage, which QEMU starts as well: unpacking itself takes an emulated kernel four seconds.
# The header fields are those of the kernel's x86 boot protocol. A kernel that is not packed with xz stays as it is.
kernel_decompress() {
    local packed=$1 image=$2 sectors offset length
    sectors=$(od -An -tu1 -j $((0x1f1)) -N 1 "$packed")
    offset=$(od -An -tu4 -j $((0x248)) -N 4 "$packed")
    length=$(od -An -tu4 -j $((0x24c)) -N 4 "$packed")
    tail -c +$(((sectors + 1) * 512 + offset + 1)) "$packed" | head -c $((length - 4)) | xz -dc >"$image" 2>/dev/null ||
        cp "$packed" "$image"
}

# Copies the modules and what they need, uncompressed, with a number in front that keeps the loading order.
kernel_pick_modules() {
    local tree=$1 target=$2 release module file number=100
    release=$(basename "$tree"/lib/modules/*)
    depmod -b "$tree" "$release" || return 1
    for module in "${kernel_modules[@]}"; do
        if ! modprobe -d "$tree" -S "$release" --show-depends "$module" >"$tree/depends" 2>&1; then
            [[ $kernel_modules_optional == *" $module "* ]] && continue
            echo "softroce: the kernel $release has no module $module" >&2
            return 1
        fi
        while read -r file; do
            kernel_copy_module "$file" "$target" $((number++)) || return 1
        done < <(sed -n 's/^insmod \([^ ]*\).*/\1/p' "$tree/depends")
    done
}

kernel_copy_module() {
    local file=$1 target=$2 number=$3 name=${1##*/}
    compgen -G "$target/*-${name%%.ko*}.ko" >/dev/null && return
    case $name in
    *.xz) xz -dc "$file" ;;
    *) cat "$file" ;;
    esac >"$target/$number-${name%%.ko*}.ko"
}

kernel_pack_initrd() {
    local work status=0
    work=$(mktemp -d "$kernel_cache/work.XXXXXX") || return 1
    kernel_fill_initrd "$work/tree" &&
        (cd "$work/tree" && find . | cpio --quiet -o -H newc >../initrd) &&
        mv "$work/initrd" "$kernel_initrd" || status=1
    rm -rf "$work"
    return "$status"
}

kernel_fill_initrd() {
    local tree=$1 program
    mkdir -p "$tree"/{bin,dev,proc,sys,host,memory,root} &&
        cp /bin/busybox "$tree/bin/busybox" &&
        cp -r "$kernel_cache/kernel/modules" "$tree/modules" &&
        install -m 755 "$kernel_init" "$tree/init" || return 1
    for program in sh mount mkdir insmod switch_root; do
        ln -s busybox "$tree/bin/$program" || return 1
    done
}
