# SPDX-License-Identifier: BSD-2-Clause
"""eve.py FILE SID [KEY=VALUE...]: how many alerts of a rule there are in eve.json.

Only those count that have these values; vlan=5 is one tag, vlan= none.
"""
import json
import sys


def alerts(path, sid, want):
    n = 0
    with open(path, encoding="utf-8") as f:
        for line in f:
            try:
                event = json.loads(line)
            except ValueError:  # the last line may still be growing
                continue
            if event.get("event_type") != "alert" or event["alert"]["signature_id"] != sid:
                continue
            have = {
                "src": event.get("src_ip", ""),
                "dst": event.get("dest_ip", ""),
                "port": str(event.get("dest_port", "")),
                "action": event["alert"]["action"],
                "vlan": ",".join(map(str, event.get("vlan", []))),
            }
            n += all(have[k] == v for k, v in want.items())
    return n


if __name__ == "__main__":
    print(alerts(sys.argv[1], int(sys.argv[2]), dict(a.split("=", 1) for a in sys.argv[3:])))
