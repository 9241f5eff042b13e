#!/usr/bin/env bash
# Build the image without a container runtime, run it offline on a read-only root, and check its size and its exit.
# Needs root, buildah and mmdebstrap. Works in a new folder under ${TMPDIR:-/tmp}, or in the one that is given.
set -euo pipefail
cd "$(dirname "$0")/.."
MAX_MB=450
for program in buildah mmdebstrap; do
	command -v "$program" > /dev/null || { echo "The image isn't checked: $program is not installed."; exit 0; }
done
[ "$(id -u)" = 0 ] || { echo "The image isn't checked: this needs root."; exit 0; }

work=${1:-$(mktemp -d "${TMPDIR:-/tmp}/minerpulse-image-XXXXXX")}
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
buildah() { command buildah --root "$work/storage" --runroot "$work/run" "$@"; }
[ -s "$work/base.tar" ] || mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' bookworm "$work/base.tar"
if [ ! -d "$work/wheels" ]; then
	python3 -m pip download -q --require-hashes --no-deps -d "$work/wheels" -r requirements.txt
	python3 -m pip download -q -d "$work/wheels" hatchling
fi
printf 'FROM scratch\nADD base.tar /\n' | buildah bud -q -t base -f - "$work" > /dev/null
started=$SECONDS
buildah bud -q --format docker --ignorefile deploy/Dockerfile.dockerignore -f deploy/Dockerfile -v "$work/wheels:/wheels:ro" \
	--build-arg BASE=localhost/base --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/wheels -t minerpulse . > /dev/null
container=$(buildah from localhost/minerpulse)
root=$(buildah mount "$container")
megabytes=$(du -sm --exclude=proc --exclude=sys "$root" | cut -f1)
echo "The image has $megabytes MB and was built in $((SECONDS - started)) s."

mkdir -p "$work/data"
chown 10001:10001 "$work/data"
cat > "$work/inside.sh" << 'INSIDE'
set -eu
cd /var/lib/minerpulse
minerpulse --version
minerpulse migrate
minerpulse chart -o /tmp/chart.png
started=$(date +%s)
first=$(minerpulse rehearse --no-web --no-prompt | grep -m 1 -o 'Firing: .*[a-z]')
echo "A rehearsal's first alert came after $(($(date +%s) - started)) s: $first"
minerpulse run & app=$!
for _ in $(seq 60); do
	if python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:3000/healthz', timeout=3)" 2> /dev/null; then break; fi
	sleep 0.5
done
python3 -c "import urllib.request as r; print(r.urlopen('http://127.0.0.1:3000/healthz', timeout=3).read().decode())"
minerpulse health || true # no Slack offline
touch /usr/written 2> /dev/null && { echo "The root can be written to."; exit 1; }
kill -TERM "$app"
wait "$app" && echo "SIGTERM ended it with code 0."
INSIDE
# shellcheck disable=SC2016 -- expanded by the inner shell
unshare --mount --net --pid --fork sh -euc '
	root=$1 data=$2 script=$3
	ip link set lo up
	mount --bind "$root" "$root"
	mount -t tmpfs -o size=64m tmpfs "$root/tmp"
	cp "$script" "$root/tmp/inside.sh"
	mount -t proc proc "$root/proc"
	mount --bind "$data" "$root/var/lib/minerpulse"
	mount --bind /dev "$root/dev"
	mount -o remount,bind,ro "$root"
	exec chroot --userspec=10001:10001 --groups= "$root" /usr/bin/env -i PATH=/opt/minerpulse/bin:/usr/bin:/bin \
		HOME=/var/lib/minerpulse MPLCONFIGDIR=/tmp/matplotlib MINERPULSE_HOST=0.0.0.0 PORT=3000 \
		MINERPULSE_DATABASE_URL=sqlite:////var/lib/minerpulse/minerpulse.db \
		MINERPULSE_ETF_SOURCES=simulated MINERPULSE_CRYPTO_SOURCES=simulated \
		SLACK_BOT_TOKEN=xoxb-made-up SLACK_SIGNING_SECRET=0123456789abcdef0123456789abcdef sh /tmp/inside.sh
' sh "$root" "$work/data" "$work/inside.sh"
buildah umount "$container" > /dev/null
[ "$megabytes" -le "$MAX_MB" ] || { echo "The image is larger than $MAX_MB MB."; exit 1; }
