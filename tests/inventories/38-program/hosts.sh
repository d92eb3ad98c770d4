#!/bin/sh
cat <<'END'
{"web": {"hosts": ["w2", "w1"], "vars": {"a": 1, "t": "{{ x }}", "u": {"__ansible_unsafe": "{{ y }}"}}},
 "db": ["d1", "d2"],
 "prod": {"children": ["web", "db"], "vars": {"ansible_group_priority": 3, "p": 1}},
 "single": {"some": "variable"},
 "z": {"hosts": ["w[1:2]"]},
 "_meta": {"hostvars": {"w1": {"ansible_host": "10.0.0.1", "n": [1, 2.5, null]}, "d1": {}, "unknown": {"x": 1}, "w2": {"a": "own"}}}}
END
