# SPDX-License-Identifier: BSD-2-Clause
"""The daemon as a process: rights, restarts, several side by side, bad input."""

import json
import os
import re
import resource
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest

from lab import DEADLINE, VIADUCT, VIADUCTD, Daemon, frame, sent_by, sh, wait_for


BROADCAST = "ff:ff:ff:ff:ff:ff"


def talk(d, data, timeout=None, until_close=False):
    """Sends bytes to the control socket; returns the parsed lines that come back."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout or DEADLINE)
    s.connect(str(d.run_dir / "control.sock"))
    buf = b""
    try:
        while b"\n" not in buf:
            buf += s.recv(65536)  # the greeting
        buf = buf.split(b"\n", 1)[1]
        s.sendall(data)
        if until_close:
            s.shutdown(socket.SHUT_WR)
        while until_close or b"\n" not in buf:
            chunk = s.recv(65536)
            if not chunk:
                break
            buf += chunk
    except (BrokenPipeError, ConnectionResetError):
        buf += s.recv(65536)  # what it said before it closed
    finally:
        s.close()
    return [json.loads(l) for l in buf.splitlines() if l]


def test_two_daemons_side_by_side(lab):
    d1 = lab.daemon()
    other = lab.space("sw2")
    d2 = lab.daemon(ns=other)
    d1.cli("addbr", "br0")
    d2.cli("addbr", "br0")
    assert d1.pid != d2.pid
    d1.cli("delbr", "br0")
    assert [b["ifname"] for b in d2.status()["bridges"]] == ["br0"]


def test_second_daemon_in_the_same_place_is_refused(lab):
    d = lab.daemon()
    p = subprocess.run(d.ns.argv(VIADUCTD, "--run-dir", d.run_dir), capture_output=True, text=True, timeout=10)
    assert p.returncode == 1
    assert str(d.pid) in p.stderr and "already" in p.stderr and str(d.run_dir) in p.stderr
    assert d.status()["pid"] == d.pid


def test_stale_socket_of_a_killed_daemon_is_no_obstacle(lab):
    d = lab.daemon()
    d.kill()
    assert "no daemon" in d.fails("addif", "br0", "x", code=3)
    d.start()


def test_users_without_rights(lab):
    d = lab.daemon()
    os.chmod(lab.dir, 0o755)
    mode = (d.run_dir / "control.sock").stat().st_mode
    assert stat.S_IMODE(mode) == 0o660
    script = (f"import socket,sys; s=socket.socket(socket.AF_UNIX); "
              f"s.connect('{d.run_dir}/control.sock'); print(s.recv(100))")
    p = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3",
                        "-c", script], capture_output=True, text=True)
    assert p.returncode != 0 and "PermissionError" in p.stderr


def test_group_may_look_and_not_touch(lab):
    import grp
    group = grp.getgrgid(65534).gr_name
    d = lab.daemon("--group", group)
    os.chmod(lab.dir, 0o755)
    base = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", VIADUCT, "--run-dir", d.run_dir]
    look = subprocess.run(d.ns.argv(*base, "-j", "status"), capture_output=True, text=True)
    assert look.returncode == 0, look.stderr
    touch = subprocess.run(d.ns.argv(*base, "-j", "addbr", "br0"), capture_output=True, text=True)
    assert touch.returncode == 1
    assert json.loads(touch.stdout or touch.stderr)["error"]["code"] == 103
    assert d.status()["bridges"] == []


def test_missing_capability_is_named(lab):
    ns = lab.space("nocap")
    p = subprocess.run(ns.argv("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", VIADUCTD,
                               "--run-dir", lab.dir / "nocap"), capture_output=True, text=True, timeout=10)
    assert p.returncode == 1
    assert "CAP_NET_RAW" in p.stderr, p.stderr


BAD = [
    # command, words that the sentence must have, exit code
    (["addbr", "a-name-that-is-far-too-long"], ["a-name-that-is-far-too-long"], 1),
    (["addbr", "a/b"], ["a/b"], 1),
    (["addbr", ""], [], 1),
    (["addbr", "p1"], ["p1"], 1),
    (["addbr", "br0"], ["br0", "exists"], 1),
    (["delbr", "br9"], ["br9"], 1),
    (["delbr", "kbr"], ["kbr"], 1),
    (["addif", "br0", "nosuch"], ["nosuch"], 1),
    (["addif", "br0", "lo"], ["lo", "loopback"], 1),
    (["addif", "br0", "br0"], ["br0"], 1),
    (["addif", "br0", "kbr"], ["kbr"], 1),
    (["addif", "br0", "p1"], ["p1", "already"], 1),
    (["addif", "br0", "kp"], ["kp", "kbr"], 1),
    (["addif", "br9", "p2"], ["br9"], 1),
    (["addif", "br0", "p2", "driver", "warp"], ["warp"], None),
    (["delif", "br0", "p2"], ["p2"], 1),
    (["fdb", "add", "zz:00", "dev", "p1"], ["zz:00"], None),
    (["fdb", "add", "01:00:5e:00:00:01", "dev", "p1"], ["01:00:5e:00:00:01"], 1),
    (["fdb", "add", "00:00:00:00:00:00", "dev", "p1"], ["00:00:00:00:00:00"], 1),
    (["fdb", "del", "02:00:00:00:00:77", "dev", "p1"], ["02:00:00:00:00:77"], 1),
    (["setageing", "br0", "-5"], ["-5"], None),
    (["setageing", "br0", "9999999999"], ["bridge br0:", "9999999999"], 1),
    (["link", "set", "p1", "group_fwd_mask", "2"], ["port p1:", "group_fwd_mask"], 1),
    (["setageing", "br0", "soon"], ["soon"], None),
    (["link", "set", "p1", "hairpin", "maybe"], ["maybe"], None),
    (["hairpin", "br0", "p2", "on"], ["p2"], 1),
    (["setfd", "br0", "8"], ["bridge br0: max_age is more than 2 * (forward_delay - 1 s)"], 1),
    (["setbridgeprio", "br0", "100"], ["priority is not a multiple of 4096"], 1),
    (["sethello", "br0", "5"], ["hello_time is more than the 2 seconds that RSTP allows"], 1),
    (["addbrr", "br1"], ["addbrr", "addbr"], 2),
]


def test_bad_input_gets_one_sentence_and_changes_nothing(lab):
    d = lab.daemon()
    lab.add_hosts(2)
    d.ns.ip("link", "add", "kbr", "type", "bridge")
    d.ns.ip("link", "add", "kp", "type", "veth", "peer", "name", "kp2")
    d.ns.ip("link", "set", "kp", "master", "kbr")
    d.cli("addbr", "br0")
    d.cli("addif", "br0", "p1")

    def state():
        rows = [(r["ifname"], r.get("master"), r.get("linkinfo")) for r in d.json("-d", "link", "show")]
        fixed = sorted(k for k, r in d.fdb().items() if r["state"])
        text = re.sub(r'"fdb_n_learned": \d+', "", json.dumps(rows, sort_keys=True))
        return text, fixed, sorted(d.ns.links())

    before = state()
    for argv, words, code in BAD:
        p = d.cli(*argv, check=False)
        assert p.returncode == code if code else p.returncode in (1, 2), (argv, p.returncode, p.stderr)
        lines = [l for l in p.stderr.splitlines() if not l.startswith(("hint:", "usage:", "Usage"))]
        assert len(lines) == 1, (argv, p.stderr)
        for w in words:
            assert w.lower() in p.stderr.lower(), (argv, w, p.stderr)
        assert state() == before, argv


def test_protocol_trouble(lab):
    d = lab.daemon()
    for line in (b"{\n", b"garbage\n", b"[]\n", b"\x00\xff\xfe\n", b"\n", b"123\n", b'"x"\n'):
        r = talk(d, line)
        assert r and r[0]["error"]["code"] == 100, (line, r)
    assert talk(d, b'{"id":1,"cmd":"statuss"}\n')[0]["error"]["code"] == 101
    assert talk(d, b'{"id":1,"cmd":"status","args":{"x":1}}\n')[0]["error"]["code"] == 102
    assert talk(d, b'{"id":1,"cmd":"bridge.add","args":{"bridge":5}}\n')[0]["error"]["code"] == 102
    assert talk(d, b'{"id":1,"cmd":"bridge.add"}\n')[0]["error"]["code"] == 102
    # half a message and gone
    (r,) = talk(d, b'{"id":1,"cm', until_close=True)
    assert r["error"]["code"] == 100 and "middle of a line" in r["error"]["text"]
    # 10 MB without a newline: refused, and the daemon does not keep it
    r = talk(d, b"x" * (10 << 20))
    assert r and r[0]["error"]["code"] == 100 and "longer" in r[0]["error"]["text"]
    # deep nesting
    r = talk(d, b'{"id":1,"args":' + b"[" * 100000 + b"\n")
    assert r and r[0]["error"]["code"] == 100
    assert d.status()["pid"] == d.pid


def test_a_client_that_does_not_read_is_dropped(lab):
    d = lab.daemon()
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(d.run_dir / "control.sock"))
    s.settimeout(1)
    try:
        for _ in range(200000):
            s.sendall(b'{"id":1,"cmd":"status"}\n')
    except (BrokenPipeError, ConnectionResetError, TimeoutError):
        pass
    s.close()
    assert d.status()["pid"] == d.pid


def test_config_errors_name_file_line_and_nearest(lab):
    d = lab.daemon()
    bad = lab.dir / "bad.yaml"
    bad.write_text("bridges:\n  br0:\n    agein_time: 10\n")
    text = d.fails("check", bad)
    assert f"{bad}:3:" in text and "agein_time" in text and "ageing_time" in text
    bad.write_text("bridges:\n  br0:\n    ageing_time: soon\n")
    assert f"{bad}:3:" in d.fails("check", bad)
    bad.write_text("bridges: [\n")
    assert str(bad) in d.fails("check", bad)
    good = lab.dir / "good.yaml"
    good.write_text("bridges:\n  br0:\n    ageing_time: 10\n")
    d.cli("check", good)
    assert d.status()["bridges"] == [], "check changes nothing"
    d.stop()
    assert d.cli("check", good).stdout == f"{good}: good\n", "no daemon is needed"
    assert f"{bad}:" in d.fails("check", bad)
    assert "good" in d.cli("check", "-", text=good.read_text()).stdout
    assert not (d.run_dir / "viaductd.pid").exists(), "a clean end leaves no pid file"


def test_log_level_of_a_module_that_was_silent(lab):
    d = lab.daemon()
    d.cli("log", "daemon/plan", "debug")
    assert "daemon/plan" in d.fails("log", "no/such", "debug"), "the known ones are named"


def test_up_and_down_are_left_to_ip(lab):
    d = lab.daemon()
    d.cli("addbr", "br0")
    for way in "up", "down":
        assert f"ip link set br0 {way}" in d.fails("link", "set", "br0", way, code=2)


def test_reload_applies_the_difference_all_or_nothing(lab):
    d = lab.daemon()
    a, b, c = lab.add_hosts(3)
    conf = lab.dir / "v.yaml"
    conf.write_text(f"""\
bridges:
  br0:
    ageing_time: 60
    ports:
      - name: {a.port}
        isolated: true
      - name: {b.port}
    fdb:
      - mac: 02:00:00:00:0c:0c
        port: {b.port}
""")
    d.cli("reload", conf)
    d.ns.ip("link", "set", "br0", "up")
    assert d.port(a.port)["linkinfo"]["info_slave_data"]["isolated"] is True
    assert d.fdb()[("02:00:00:00:0c:0c", 0)]["ifname"] == b.port
    number = d.port(b.port)["port_no"]
    conf.write_text(conf.read_text().replace(f"      - name: {a.port}\n        isolated: true\n", "")
                    .replace("60", "70") .replace("    fdb:", f"      - name: {c.port}\n    fdb:"))
    out = d.cli("reload", conf).stdout
    names = {r["ifname"] for r in d.json("link", "show") if r.get("master") == "br0"}
    assert a.port not in names and {b.port, c.port} <= names
    assert d.port(b.port)["port_no"] == number, "what did not change was not touched"
    good = conf.read_text()
    conf.write_text(good.replace("70", "80") + "  br1:\n    ports:\n      - name: nosuchdev\n        driver: warp\n")
    d.fails("reload", conf)
    rows = {r["ifname"]: r for r in d.json("link", "show")}
    assert "br1" not in rows
    text = json.dumps(d.json("-d", "link", "show", "br0"))
    assert '"ageing_time": 70' in text, text


def test_config_at_start_and_same_state_after_restart(lab):
    a, b = lab.add_hosts(2)
    conf = lab.dir / "v.yaml"
    conf.write_text(f"bridges:\n  br0:\n    ports:\n      - name: {a.port}\n      - name: {b.port}\n")
    d = lab.daemon("-c", conf)
    d.ns.ip("link", "set", "br0", "up")
    wait_for(lambda: " 1 received" in a.ping(b.addr, 1, check=False), "ping")
    d.kill()
    d.start()
    wait_for(lambda: " 1 received" in a.ping(b.addr, 1, check=False), "ping after a crash and restart")


def ages(daemon, port):
    return {e["mac"]: e["age"] for e in daemon.fdb().values() if e["ifname"] == port and not e["state"]}


def known_bridge(lab):
    """A bridge of the configuration that has learned an address of each of two hosts."""
    a, b = [h.silent() for h in lab.add_hosts(2)]
    conf = lab.dir / "v.yaml"
    conf.write_text(f"bridges:\n  br0:\n    ageing_time: 120\n    ports:\n      - name: {a.port}\n      - name: {b.port}\n")
    d = lab.daemon("-c", conf)
    for h in (a, b):
        wait_for(lambda: d.port(h.port)["state"] == "forwarding", "it forwards")
        h.raw.send(frame(BROADCAST, h.mac, b"here I am"))
        wait_for(lambda: h.mac in ages(d, h.port), "learned")
    return d, a, b


def test_addresses_outlive_a_restart(lab):
    """What was learned is known to the next daemon with its age: no flood, as if it had never been away."""
    d, a, b = known_bridge(lab)
    time.sleep(2.1)
    d.stop()
    d.start()
    assert 2 <= ages(d, a.port)[a.mac] < 60 and b.mac in ages(d, b.port)
    c = lab.host().silent()
    d.addif("br0", c.port)
    a.raw.send(frame(b.mac, a.mac, b"to a known address"))
    b.raw.expect(frame(b.mac, a.mac, b"to a known address"))
    assert c.raw.count(sent_by(a)) == 0


def test_addresses_that_are_too_old_or_damaged_do_not(lab):
    d, a, b = known_bridge(lab)
    d.stop()
    file = d.run_dir / "state/br0.fdb"
    good = file.read_bytes()
    old = good[:8] + struct.pack("=Q", int(time.time()) - 121) + good[16:]
    for bad in (old, good[:-1], os.urandom(200), b""):
        file.write_bytes(bad)
        d.start()
        assert a.mac not in ages(d, a.port)
        d.kill()
    assert "is damaged" in d.log_text()
    file.write_bytes(good)
    d.start()
    assert a.mac in ages(d, a.port)
    d.cli("delbr", "br0")
    assert not file.exists(), "a bridge of that name is another one"


def test_addbr_starts_the_daemon(lab):
    run = lab.dir / "auto"
    ns = lab.switch
    p = subprocess.run(ns.argv(VIADUCT, "--run-dir", run, "addbr", "br0"), capture_output=True, text=True,
                       timeout=20)
    assert p.returncode == 0, p.stderr
    assert p.stdout + p.stderr == "", "what goes well says nothing"
    assert "ready" in (run / "viaductd.log").read_text()
    out = json.loads(ns.run(VIADUCT, "--run-dir", run, "-j", "status"))
    try:
        assert [b["ifname"] for b in out["bridges"]] == ["br0"]
    finally:
        os.kill(out["pid"], signal.SIGTERM)
        wait_for(lambda: not os.path.exists(f"/proc/{out['pid']}"), "it ends on SIGTERM")


def test_kernel_bridges_are_listed_as_not_adopted(lab):
    d = lab.daemon()
    d.ns.ip("link", "add", "kbr", "type", "bridge")
    d.cli("addbr", "br0")
    assert "kbr" in d.cli("show").stdout
    assert "kbr" in json.dumps(d.status()["kernel_bridges"])
    assert "not adopted" in d.cli("status").stdout


def test_wrong_namespace_is_said(lab):
    d = lab.daemon()
    other = lab.space("elsewhere")
    p = subprocess.run(other.argv(VIADUCT, "--run-dir", d.run_dir, "addbr", "br0"), capture_output=True, text=True)
    assert p.returncode == 1 and "namespace" in p.stderr, (p.returncode, p.stderr)
    p = subprocess.run([VIADUCT, "-n", d.ns.name, "--run-dir", d.run_dir, "addbr", "br0"],
                       capture_output=True, text=True)
    assert p.returncode == 0, p.stderr


def test_shutdown_waits_for_the_end(lab):
    d = lab.daemon()
    for _ in range(5):
        d.cli("addbr", "br0")
        d.cli("shutdown")
        assert d.proc.wait(1) == 0
        assert "no daemon" in d.fails("delbr", "br0", code=3)
        d.start()
        d.cli("delbr", "br0", check=False)


def test_batch(lab):
    d = lab.daemon()
    p = d.cli("-b", "-", text="addbr br0\n# a remark\n\naddif br0 nosuch\naddbr br1\n", check=False)
    assert p.returncode == 1
    assert "nosuch" in p.stderr and "4" in p.stderr, "the line is named"
    assert [b["ifname"] for b in d.status()["bridges"]] == ["br0"], "it stops there"
    p = d.cli("-force", "-b", "-", text="addif br0 nosuch\naddbr br1\n", check=False)
    assert p.returncode == 1
    assert {b["ifname"] for b in d.status()["bridges"]} == {"br0", "br1"}, "-force goes on"


def test_completion_knows_words_and_objects(lab):
    d = lab.daemon()
    (a,) = lab.add_hosts(1)
    d.bridge(a)

    def words(*typed):
        return set(d.ns.run(VIADUCT, "complete", "--run-dir", d.run_dir, *typed).split())

    assert {"addbr", "addif"} == words("add")
    assert "br0" in words("delbr", "")
    assert a.port in words("link", "set", "")
    assert {"hairpin"} == words("link", "set", a.port, "hair")
    assert {"on", "off"} == words("link", "set", a.port, "hairpin", "")
    assert not {"up", "down"} & words("link", "set", "br0", "")
    assert "br0" in words("-j", "-c=never", "delbr", ""), "after options too"
    assert "br0" in set(sh(VIADUCT, "complete", "-n", d.ns.name, "--run-dir", d.run_dir, "delbr", "").split())
    assert not words("-n"), "no crash on a lone option"


def test_a_user_without_rights_gets_one_sentence(lab):
    d = lab.daemon()
    os.chmod(lab.dir, 0o755)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for words in (["addbr", "br0"], ["status"], ["monitor"]):
        p = subprocess.run(d.ns.argv(*user, VIADUCT, "--run-dir", d.run_dir, *words), capture_output=True,
                           text=True, timeout=DEADLINE)
        assert p.returncode == 1, p
        lines = [l for l in p.stderr.splitlines() if not l.startswith("hint:")]
        assert len(lines) == 1 and "control.sock" in lines[0], p.stderr
    for name in "control.sock", "netmap.sock":
        script = f"import socket; socket.socket(socket.AF_UNIX, socket.{{}}).connect('{d.run_dir}/{name}')"
        kinds = ("SOCK_STREAM", "SOCK_SEQPACKET")
        for kind in kinds:
            p = subprocess.run([*user, "/usr/bin/python3", "-c", script.format(kind)], capture_output=True, text=True)
            assert "PermissionError" in p.stderr, (name, kind, p.stderr)
    assert d.status()["bridges"] == []


def test_run_that_was_killed_leaves_the_devices_as_they_were(lab):
    a, b = lab.add_hosts(2)
    p = lab.background(lab.switch, VIADUCT, "run", "br0", a.port, b.port, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    wait_for(lambda: lab.switch.link(a.port).get("promiscuity"), "joined")
    wait_for(lambda: " 1 received" in a.ping(b.addr, 1, "-W", "1", check=False), "ping")
    p.kill()
    p.wait()
    wait_for(lambda: lab.switch.link(a.port).get("promiscuity") == 0, "left")


def test_run_in_the_foreground(lab):
    a, b = lab.add_hosts(2)
    p = lab.background(lab.switch, VIADUCT, "run", "br0", a.port, b.port, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    wait_for(lambda: " 1 received" in a.ping(b.addr, 1, "-W", "1", check=False), "ping")
    p.send_signal(signal.SIGINT)
    assert p.wait(DEADLINE) == 0, p.stdout.read()
    assert "br0" not in lab.switch.links()


def test_idle_daemon_sleeps(lab):
    """P8: with four ports and no traffic the daemon uses no CPU: a count of wakeups, not a time."""
    d = lab.daemon()
    hosts = [h.silent() for h in lab.add_hosts(4)]
    d.bridge(*hosts)
    time.sleep(1)
    pid = d.pid  # asking wakes it

    def switches():
        total = 0
        for t in os.listdir(f"/proc/{pid}/task"):
            for l in open(f"/proc/{pid}/task/{t}/status"):
                if l.startswith("voluntary_ctxt_switches"):
                    total += int(l.split()[1])
        return total

    before = switches()
    time.sleep(3)
    assert switches() - before < 60, "an idle daemon woke up more than 20 times a second"
