#!/bin/sh
echo '{"web": {"hosts": ["w1"], "vars": {"a": "program", "b": "program"}}, "_meta": {"hostvars": {"w1": {"b": "host"}}}}'
