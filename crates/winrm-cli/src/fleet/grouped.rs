//! Hosts with the same output, told once.

use std::collections::HashMap;
use std::io::{self, Read as _, Write};

use winrm_fleet::Verdict;

use super::entry::Entry;
use super::report::{Report, sentence, write_block};
use super::spool::Spool;
use super::summary::Summary;

/// Collects hosts by what came of them, and prints each group once: the largest first, so that those who differ stand last.
pub(super) struct Grouped {
    groups: Vec<Vec<(usize, String)>>,
    by_digest: HashMap<[u8; 32], usize>,
    bodies: Spool,
    colours: bool,
}

impl Grouped {
    pub(super) fn new(colours: bool) -> io::Result<Self> {
        Ok(Self {
            groups: Vec::new(),
            by_digest: HashMap::new(),
            bodies: Spool::new()?,
            colours,
        })
    }
}

/// Between the start of a block's first line and the names of its hosts, which come later.
const NAMES: &str = "\0";

impl Report for Grouped {
    fn host(&mut self, entry: &Entry, _: &mut dyn Write) -> io::Result<()> {
        if entry.verdict == Verdict::NotStarted {
            return Ok(());
        }
        let next = self.groups.len();
        let group = *self.by_digest.entry(digest(entry)?).or_insert(next);
        if group == next {
            self.groups.push(Vec::new());
            write_block(NAMES, entry, self.colours, self.bodies.begin(group)?)?;
        }
        self.groups[group].push((entry.index, entry.host.clone()));
        Ok(())
    }

    fn end(&mut self, _: &Summary, out: &mut dyn Write) -> io::Result<()> {
        for hosts in &mut self.groups {
            hosts.sort_unstable();
        }
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        order.sort_by_key(|group| {
            (
                std::cmp::Reverse(self.groups[*group].len()),
                self.groups[*group].first().map(|host| host.0),
            )
        });
        for group in order {
            let names: Vec<&str> = self.groups[group].iter().map(|(_, name)| name.as_str()).collect();
            let mut names = names.join(",");
            if self.groups[group].len() > 1 {
                names.push_str(&format!(" ({} hosts)", self.groups[group].len()));
            }
            self.bodies.copy(group, &mut Named { out, names: Some(names) })?;
        }
        Ok(())
    }
}

/// Puts the names where the first block of a piece left them out.
struct Named<'a> {
    out: &'a mut dyn Write,
    names: Option<String>,
}

impl Write for Named<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let at = bytes.iter().position(|byte| *byte == 0);
        match (at, self.names.take()) {
            (Some(at), Some(names)) => {
                self.out.write_all(&bytes[..at])?;
                self.out.write_all(names.as_bytes())?;
                self.out.write_all(&bytes[at + NAMES.len()..])?;
            }
            (_, names) => {
                self.names = names;
                self.out.write_all(bytes)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What two hosts have to have in common.
fn digest(entry: &Entry) -> io::Result<[u8; 32]> {
    let mut hash = openssl::sha::Sha256::new();
    hash.update(format!("{:?} {:?} {:?}\n", entry.verdict, entry.exit_code, sentence(entry)).as_bytes());
    let mut buffer = vec![0; 32 * 1024];
    for captured in [&entry.stdout, &entry.stderr] {
        hash.update(&captured.len().to_be_bytes());
        let mut reader = captured.reader()?;
        loop {
            match reader.read(&mut buffer)? {
                0 => break,
                read => hash.update(&buffer[..read]),
            }
        }
    }
    Ok(hash.finish())
}
