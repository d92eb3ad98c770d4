#!/bin/sh
# A PowerShell for a service of the tests: $STANDIN_PWSH, where every encoded command finds the stand-ins of $STANDIN_SCRIPTS (paths, with
# colons) loaded before it begins. What it runs is the caller's own text, whole.
before=
for script in $(printf '%s' "$STANDIN_SCRIPTS" | tr ':' ' '); do
    before="$before. '$script'
"
done
count=$#
encoded=
while [ "$count" -gt 0 ]; do
    argument=$1
    shift
    if [ -n "$encoded" ]; then
        argument=$({ printf '%s' "$before" | iconv -f UTF-8 -t UTF-16LE; printf '%s' "$argument" | base64 -d; } | base64 -w 0)
        encoded=
    fi
    case $argument in
        -[Ee][Nn][Cc]*) encoded=1 ;;
    esac
    set -- "$@" "$argument"
    count=$((count - 1))
done
exec "$STANDIN_PWSH" "$@"
