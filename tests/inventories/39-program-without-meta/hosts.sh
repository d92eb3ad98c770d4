#!/bin/sh
case "$1" in
--list) echo '{"web": {"hosts": ["w1", "w2"]}, "all": {"vars": {"x": 1}}}' ;;
--host) if [ "$2" = w1 ]; then echo '{"a": 1, "name": "'"$2"'"}'; fi ;;
esac
