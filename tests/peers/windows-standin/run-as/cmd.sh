#!/bin/sh
# cmd.exe for a process that .NET starts: the line behind /s /c, which a Bourne shell runs here. .NET has taken quotation marks away.
shift 2
line="$*"
case $line in
    chcp\ *) line=${line#* & } ;;
esac
exec /bin/sh -c "$line"
