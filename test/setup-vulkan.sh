#!/bin/sh
# Puts a graphics card made of software beside the tests, so that the device `webgpu` runs where there is no card: SwiftShader
# and the loader of Vulkan, three files of 6 MB out of Debian's chromium-common, without installing a browser.
# Done once; later calls see the files and leave. The product needs none of it.
set -eu
cd "$(dirname "$0")/.."
folder=.venv-vulkan
[ -f "$folder/vk_swiftshader_icd.json" ] && exit 0
if ! command -v apt-get > /dev/null || [ "$(dpkg --print-architecture)" != amd64 ]; then
  echo 'No Debian on x64 here: the tests of webgpu in software are skipped.' >&2
  exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# The list of packages may be older than what the mirror still has.
(cd "$scratch" && { apt-get download -qq chromium-common || { apt-get update -qq && apt-get download -qq chromium-common; }; }) 2> "$scratch/words" ||
  { cat "$scratch/words" >&2; echo 'chromium-common cannot be fetched: the tests of webgpu in software are skipped.' >&2; exit 0; }
mkdir -p "$scratch/files" "$folder"
dpkg-deb --fsys-tarfile "$scratch"/chromium-common_*.deb | tar -x -C "$scratch/files" --strip-components=4 \
  ./usr/lib/chromium/libvk_swiftshader.so ./usr/lib/chromium/libvulkan.so.1 ./usr/lib/chromium/vk_swiftshader_icd.json
mv "$scratch"/files/*.so* "$folder"
mv "$scratch"/files/*.json "$folder" # last: by it the next call knows that all is here
