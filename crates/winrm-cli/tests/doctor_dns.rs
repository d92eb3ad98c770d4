//! `winrm doctor` before broken DNS, with a server of its own (dnsmasq) that a mount namespace makes the machine's, and before networks
//! that swallow everything, in a network namespace. Both take root.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[path = "support/doctor.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod doctor;
#[path = "support/kdc.rs"]
#[allow(dead_code, reason = "the tests with peers use the rest")]
mod kdc;
#[path = "support/peer.rs"]
#[allow(dead_code, reason = "the tests with scripts use the rest")]
mod peer;
#[path = "support/service.rs"]
#[allow(dead_code, reason = "the tests with peers use the rest")]
mod service;

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use doctor::{Findings, command};
use kdc::{Kdc, PRINCIPAL};
use service::Service;

/// Whether this user may make namespaces of this kind.
fn may(kind: &str) -> bool {
    let tried = Command::new("unshare").args([kind, "true"]).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

/// A server of DNS, and the files that make it the one of a mount namespace.
struct Dns {
    child: Child,
    folder: PathBuf,
}

impl Dns {
    fn start(test: &str, records: &[&str]) -> Option<Self> {
        let peer = format!("dnsmasq, {test}");
        if !may("-m") {
            peer::skip(&peer, "this user may not make a mount namespace");
            return None;
        }
        if !Path::new("/usr/sbin/dnsmasq").is_file() {
            peer::skip(&peer, "there is no /usr/sbin/dnsmasq");
            return None;
        }
        let folder = service::folder(&format!("doctor-dns-{test}"));
        // An address of the loopback network that no other server has.
        let id = std::process::id();
        let address = format!("127.77.{}.{}", id % 250, 1 + id / 250 % 250);
        fs::write(
            folder.join("resolv.conf"),
            format!("nameserver {address}\noptions timeout:2 attempts:2\n"),
        )
        .unwrap();
        fs::write(folder.join("hosts"), "127.0.0.1 localhost\n").unwrap();
        let listen = format!("--listen-address={address}");
        let child = Command::new("/usr/sbin/dnsmasq")
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                "--pid-file",
            ])
            .args(["--user=root", "--local=/test/", "--bogus-priv", &listen])
            .args(records)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("dnsmasq.log")).unwrap())
            .spawn()
            .unwrap();
        let dns = Self { child, folder };
        for _ in 0..600 {
            if TcpStream::connect((address.as_str(), 53)).is_ok() {
                return Some(dns);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!(
            "dnsmasq does not listen: {}",
            fs::read_to_string(dns.folder.join("dnsmasq.log")).unwrap()
        );
    }

    /// `winrm doctor` where this is the machine's DNS.
    fn command(&self, args: &[&str]) -> Command {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let script = format!(
            "mount --bind {} /etc/resolv.conf && mount --bind {} /etc/hosts && exec \"$@\"",
            file("resolv.conf"),
            file("hosts")
        );
        command(&["unshare", "-m", "sh", "-c", &script, "sh"], args)
    }

    /// The same for someone who needs Kerberos.
    fn doctor(&self, args: &[&str]) -> Findings {
        Findings::of(&mut self.command(&[&["--transport", "kerberos", "--connect-timeout", "3"], args].concat()))
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn names_and_addresses_disagree() {
    let records = [
        "--host-record=web1.doctor.test,127.88.0.1",
        "--cname=alias.doctor.test,web1.doctor.test",
        "--address=/web2.doctor.test/127.88.0.2",
        "--ptr-record=2.0.88.127.in-addr.arpa,other.doctor.test",
        "--address=/web3.doctor.test/127.88.0.3",
    ];
    let Some(dns) = Dns::start("names", &records) else { return };
    let good = dns.doctor(&["http://web1.doctor.test"]).has("dns.forward", "ok", "127.88.0.1");
    good.has("dns.reverse", "ok", "leads back to web1.doctor.test")
        .has("name.kind", "ok", "FQDN");
    let alias = dns
        .doctor(&["http://alias.doctor.test"])
        .has("dns.canonical", "warning", "is an alias of web1.doctor.test");
    alias.mends("dns.canonical", "use web1.doctor.test").has("dns.reverse", "ok", "");
    let other = dns
        .doctor(&["http://web2.doctor.test"])
        .has("dns.reverse", "warning", "another name, other.doctor.test");
    other.mends("dns.reverse", "PTR");
    dns.doctor(&["http://web3.doctor.test"])
        .has("dns.reverse", "warning", "has no name")
        .mends("dns.reverse", "rdns = false");
    dns.doctor(&["http://web9.doctor.test"])
        .cause("dns.forward", "web9.doctor.test has no address", 4);
    // Without Kerberos names don't matter so much.
    let ntlm = ["--transport", "ntlm", "--connect-timeout", "3", "http://web2.doctor.test"];
    Findings::of(&mut dns.command(&ntlm)).has("dns.reverse", "ok", "another name");
}

#[test]
fn the_kdc_is_found_by_dns() {
    let folder = service::folder("doctor-srv");
    let Some(kdc) = Kdc::start("doctor, KDC by DNS", &folder) else {
        return;
    };
    let service = Service::start(&folder, &["--keytab", &kdc.keytab(), "--allow-any-principal"]);
    let text = fs::read_to_string(kdc.config()).unwrap();
    let port = text.lines().find_map(|line| line.trim().strip_prefix("kdc = 127.0.0.1:")).unwrap();
    let record = format!("--srv-host=_kerberos._tcp.winrm.test,dc1.doctor.test,{port}");
    let Some(dns) = Dns::start("srv", &["--host-record=dc1.doctor.test,127.0.0.1", &record]) else {
        return;
    };
    let config = folder.join("by-dns").display().to_string();
    let text = text
        .replace(" kdc = 127", " # kdc = 127")
        .replace("dns_lookup_kdc = false", "dns_lookup_kdc = true");
    fs::write(&config, text).unwrap();
    let url = service.url.replace("127.0.0.1", "localhost");
    let password = kdc.password_file().display().to_string();
    let doctor = |user: &str| {
        let flags = ["--transport", "kerberos", "-u", user, "--connection-password-file", &password, &url];
        Findings::of(dns.command(&flags).env("KRB5_CONFIG", &config))
    };
    doctor(PRINCIPAL)
        .finds_nothing()
        .has("kerberos.kdc", "ok", "found by DNS")
        .has("kerberos.kdc", "ok", "dc1.doctor.test");
    let other = doctor("user@OTHER.TEST").cause("kerberos.kdc", "no KDC is known for the realm OTHER.TEST", 4);
    other.has("kerberos.kdc", "problem", "DNS has no record _kerberos._tcp.OTHER.TEST");
}

#[test]
fn a_firewall_swallows_everything() {
    if !may("-n") {
        return peer::skip("networks that swallow everything", "this user may not make a network namespace");
    }
    // A neighbour that is not there: what is sent to it is gone.
    let script = "ip link set lo up && ip link add here type veth peer name gone && ip addr add 10.99.0.1/24 dev here && \
                  ip link set here up && ip link set gone up && \
                  ip neigh add 10.99.0.9 lladdr 02:00:00:00:00:09 dev here && exec \"$@\"";
    let before = ["unshare", "-n", "sh", "-c", script, "sh"];
    let away = |url: &str| Findings::of(&mut command(&before, &["--connect-timeout", "2", url]));
    away("http://10.99.0.9:5985")
        .cause("port.target", "no connection to 10.99.0.9 port 5985 within 2s", 4)
        .mends("port.target", "firewall");
    away("http://10.98.0.9:5985")
        .cause("port.target", "there is no way to 10.98.0.9", 4)
        .mends("port.target", "network");
}
