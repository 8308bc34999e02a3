#!/bin/sh
# Makes a machine ready for a quarter: sh bin/instance/setup.sh [--card] [--postgres], in any folder, again at any time.
# Installs what is missing and nothing else: a plain Ubuntu 24.04 with sudo gets everything, any other Linux on x64 has to have
# programs already. Ends with 0; with 4 when all is ready but the card of this machine, so that the CPU can do the work.
set -eu
cd "$(dirname "$0")/../.."

# The last of the line 22 whose hash a dozen independent projects have in their sources; 22 is maintained until April 2027.
NODE_VERSION=22.22.0
NODE_SHA256=9aa8e9d2298ab68c600bd6fb86a6c13bce11a4eca1ba9b39d79fa021755d7c37
NODE_MIRROR=${NODE_MIRROR:-https://nodejs.org/dist}
# As in lib/model/cuda.ts: CUDA 13 wants it.
LEAST_DRIVER=580
CARD_IS_NOT_READY=4

say() { echo "setup: $*"; }
fail() {
  say "$1"
  say "  → $2"
  exit 1
}
has() { command -v "$1" > /dev/null 2>&1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

card=false postgres=false
for word in "$@"; do
  case $word in
    --card) card=true ;;
    --postgres) postgres=true ;;
    *) say "there is no option $word"; say '  → sh bin/instance/setup.sh [--card] [--postgres]'; exit 2 ;;
  esac
done
PATH=$HOME/node/bin:$PATH
export PATH

# On a machine that has just begun to run, cloud-init writes where packages come from, and unattended upgrades hold the lock
# for minutes: both are waited for. The lists have a lock of their own that apt does not wait for, and a mirror may be busy:
# again, for five minutes in all.
APT_TRIES=30
APT_PAUSE_SECONDS=10
updated=false
apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq -o DPkg::Lock::Timeout=300 "$@" < /dev/null
}
update_lists() {
  if $updated; then return 0; fi
  if has cloud-init; then timeout 300 cloud-init status --wait > /dev/null 2>&1 || true; fi
  tries=0
  until apt_get update; do
    tries=$((tries + 1))
    if [ $tries -ge $APT_TRIES ]; then return 1; fi
    sleep $APT_PAUSE_SECONDS
  done
  updated=true
}
install() {
  has apt-get || fail "these are needed, and there is no apt-get: $*" "install them, and again: sh bin/instance/setup.sh"
  say "installing $*"
  if ! update_lists; then return 1; fi
  # The packages of a mirror change under a list that is minutes old.
  apt_get install -y --no-install-recommends "$@" > /dev/null && return 0
  sleep $APT_PAUSE_SECONDS
  updated=false
  if ! update_lists; then return 1; fi
  apt_get install -y --no-install-recommends "$@" > /dev/null
}

node_is_good() {
  has node && has npm &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}
has_pip() { python3 -m pip --version > /dev/null 2>&1; }

missing=
has make || missing="$missing make"
if ! node_is_good; then
  has curl || missing="$missing curl ca-certificates"
  has xz || missing="$missing xz-utils"
fi
if $card || $postgres; then has_pip || missing="$missing python3-pip"; fi
if $card; then has lspci || missing="$missing pciutils"; fi
if [ -n "$missing" ]; then
  # shellcheck disable=SC2086 # names of packages
  install $missing || fail "these cannot be installed:$missing" 'the lines above say why; then again: sh bin/instance/setup.sh'
fi

install_node() {
  [ "$(uname -sm)" = 'Linux x86_64' ] ||
    fail "Node 20.19 or later is needed; this is $(uname -sm)" 'install Node, and again: sh bin/instance/setup.sh'
  name=node-v$NODE_VERSION-linux-x64
  say "installing Node $NODE_VERSION from $NODE_MIRROR"
  rm -rf "$HOME/node.part"
  mkdir "$HOME/node.part"
  file=$HOME/node.part/$name.tar.xz
  curl -fsSL --retry 5 --retry-connrefused --max-time 300 -o "$file" "$NODE_MIRROR/v$NODE_VERSION/$name.tar.xz" ||
    fail "Node cannot be fetched from $NODE_MIRROR" 'NODE_MIRROR=https://… names another place with the files of nodejs.org/dist'
  found=$(sha256sum "$file" | cut -d ' ' -f 1)
  if [ "$found" != "$NODE_SHA256" ]; then
    rm -rf "$HOME/node.part"
    fail "$name.tar.xz from $NODE_MIRROR has the SHA-256 $found, and not $NODE_SHA256" 'take another mirror: NODE_MIRROR=https://…'
  fi
  # Beside its place first, so that what is in its place is whole.
  tar -xJf "$file" -C "$HOME/node.part"
  rm -rf "$HOME/node"
  mv "$HOME/node.part/$name" "$HOME/node"
  rm -rf "$HOME/node.part"
  hash -r # the shell remembers where the old one was
}
if ! node_is_good; then
  install_node
  node_is_good || fail "Node $NODE_VERSION does not run on this machine" 'install Node 20.19 or later, and again: sh bin/instance/setup.sh'
fi

if [ -L node_modules ]; then
  say 'node_modules is a link: what it leads to is left as it is' # npm would delete it
elif ! make -q node_modules > /dev/null 2>&1; then # the Makefile's own rule: older than the list of packages
  say 'installing packages'
  # npm itself tries a registry that does not answer twice more.
  npm ci --omit=dev --loglevel=error || fail 'the packages cannot be installed' 'again: sh bin/instance/setup.sh'
  touch node_modules
fi

driver() { nvidia-smi --query-gpu=driver_version --format=csv,noheader 2> /dev/null | head -n 1; }
driver_is_good() {
  found=$(driver)
  major=${found%%.*}
  case $major in '' | *[!0-9]*) return 1 ;; esac
  [ "$major" -ge $LEAST_DRIVER ]
}
load_driver() {
  # A driver that was there before keeps its place until it is taken out.
  as_root modprobe -q -r nvidia_uvm nvidia_drm nvidia_modeset nvidia || true
  as_root modprobe nvidia && as_root modprobe nvidia_uvm || return 1
  if has udevadm; then as_root udevadm settle || true; fi # which makes the devices
  driver_is_good
}
# Ubuntu's own packages, which need no reboot: the modules that Canonical built and signed for the kernel that runs. The
# package without a kernel in its name brings those of the newest kernel, which does not run yet. Where the modules are of an
# older driver than the libraries, or there are none, dkms builds them, in some three minutes. Open modules, because NVIDIA
# recommends them from Turing on, the oldest that CUDA 13 knows, and newer cards have no others.
install_driver() {
  has apt-get || return 1
  kernel=$(uname -r)
  libraries="nvidia-utils-$LEAST_DRIVER-server libnvidia-compute-$LEAST_DRIVER-server"
  if ! update_lists; then return 1; fi
  modules=linux-modules-nvidia-$LEAST_DRIVER-server-open-$kernel
  # shellcheck disable=SC2086 # names of packages
  if apt_get install -s $modules $libraries > /dev/null 2>&1; then
    if install $modules $libraries && load_driver; then return 0; fi
  fi
  say "there are no modules of the driver for the kernel $kernel that fit: building them"
  # shellcheck disable=SC2086
  install "nvidia-dkms-$LEAST_DRIVER-server-open" "linux-headers-$kernel" $libraries && load_driver
}
card_is_ready=true
if $card; then
  # 03: whatever draws or computes; NVIDIA's cards of servers are 0302.
  if ! lspci -n -d 10de: 2> /dev/null | grep -q ' 03..: '; then
    say 'this machine has no NVIDIA card: the CPU does the work'
  elif ! driver_is_good && ! install_driver; then
    found=$(driver || true)
    say "the card has no driver $LEAST_DRIVER or later (nvidia-smi says: ${found:-nothing}): the CPU can do the work"
    card_is_ready=false
  elif ! make --no-print-directory cuda; then
    say 'what CUDA needs cannot be installed, or does not work with this card: the CPU can do the work'
    card_is_ready=false
  fi
fi

if $postgres; then sh bin/instance/postgres.sh start > /dev/null; fi

if $card_is_ready; then
  say "ready: Node $(node -p process.versions.node)"
else
  say "ready but for the card: Node $(node -p process.versions.node)"
  exit $CARD_IS_NOT_READY
fi
