#!/bin/sh
# Run by Cloud Assistant as root: fetch guestprep from a bucket, check it, and have it do one thing. What stands in double
# braces is filled in by Cloud Assistant or OOS.
set -eu
url='{{ url }}' sha256='{{ sha256 }}' action='{{ action }}' profile='{{ profile }}'
# Not /tmp or /run, which are mounted noexec on many guests.
program=/usr/local/sbin/guestprep

fetch() {
    if command -v curl >/dev/null; then
        curl --fail --silent --show-error --location --retry 3 --max-time 120 --output "$1" "$url"
    else
        wget -q -T 120 -t 3 -O "$1" "$url"
    fi
}

is_right() { [ -f "$1" ] && printf '%s  %s\n' "$sha256" "$1" | sha256sum -c --status; }

if ! is_right "$program"; then
    new=$program.$$
    trap 'rm -f "$new"' EXIT
    fetch "$new"
    is_right "$new" || { echo "guestprep: $url has not the SHA-256 $sha256; nothing was run" >&2; exit 2; }
    chmod 755 "$new"
    mv -f "$new" "$program"
    trap - EXIT
fi

case $action in
    audit)
        # Its verdict is in the output; the command fails where there is none.
        code=0
        "$program" audit --profile "$profile" --format compact || code=$?
        case $code in 0 | 1 | 3) exit 0 ;; *) exit "$code" ;; esac ;;
    prepare) exec "$program" prepare --yes --profile "$profile" --format compact ;;
    rollback) exec "$program" rollback --yes ;;
    # A template whose last task fails has failed, and its host is back all the same.
    rollback-and-fail) "$program" rollback --yes || exit $?; echo "guestprep: no image was made; the host is rolled back" >&2; exit 1 ;;
    *) echo "guestprep: there is no action $action" >&2; exit 2 ;;
esac
