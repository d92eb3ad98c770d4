//! The arguments of runs over many hosts.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use winrm_fleet::{Amount, Shard};

/// How many hosts are worked on, and how what came of it is told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Many hosts")]
pub(crate) struct FleetArguments {
    /// How many hosts to work on at once [default: ANSIBLE_FORKS, what ansible.cfg says where there is an inventory, or 100]
    #[arg(short, long, value_name = "N", value_parser = forks)]
    pub(crate) forks: Option<usize>,
    /// Take the hosts in batches of N, or N% of them: the next begins when all of this one have ended
    #[arg(long, value_name = "N|N%", value_parser = batch)]
    pub(crate) batch: Option<Amount>,
    /// Begin no more hosts once more than N, or N% of all, have failed or could not be reached
    #[arg(long, value_name = "N|N%")]
    pub(crate) max_fail: Option<Amount>,
    /// Only the part of the hosts that is K of N: a hash of the name decides, on every machine alike
    #[arg(long, value_name = "K/N")]
    pub(crate) shard: Option<Shard>,
    /// Of the hosts that TARGET names, only those that the last run left so
    #[arg(long, value_enum, value_name = "WHICH")]
    pub(crate) rerun: Option<Rerun>,
    /// Print the names of the hosts, and do nothing
    #[arg(long)]
    pub(crate) list_hosts: bool,
    /// Print what would be done where, as whom and by which transport; no connection is made
    #[arg(long, conflicts_with = "list_hosts")]
    pub(crate) dry_run: bool,
    /// Keep the record of the run in this file, a line of JSON for each host, instead of the folder for the last runs
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) report: ReportStyle,
}

impl FleetArguments {
    /// The same without `--format json`, which one host has as well.
    pub(crate) fn beyond_json(&self) -> Self {
        let mut arguments = self.clone();
        if arguments.report.format == ReportFormat::Json {
            arguments.report.format = ReportFormat::Text;
        }
        arguments
    }

    /// Whether something was asked for that only makes sense for a fleet, of one host perhaps.
    pub(crate) fn are_asked_for(&self) -> bool {
        let Self {
            forks: _,
            batch,
            max_fail,
            shard,
            rerun,
            list_hosts,
            dry_run,
            record,
            report,
        } = self;
        let several = batch.is_some() || max_fail.is_some() || shard.is_some() || rerun.is_some();
        several || *list_hosts || *dry_run || record.is_some() || report.is_asked_for()
    }
}

/// What of many hosts' commands is success, and how much they may say.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Many hosts")]
pub(crate) struct ManyResults {
    /// Exit codes that mean success, on many hosts: decimal or 0x…
    #[arg(
        long,
        value_name = "CODES",
        value_delimiter = ',',
        default_value = "0",
        allow_hyphen_values = true,
        value_parser = exit_code
    )]
    pub(crate) ok_codes: Vec<u32>,
    /// What each of many hosts may write before its command is ended, in bytes, or with K, M or G
    #[arg(long, value_name = "BYTES", default_value = "64M", value_parser = bytes)]
    pub(crate) max_output: u64,
}

/// How results are told.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportStyle {
    /// How to print the results: text and jsonl as the hosts end, json and junit (XML for CI) at the end, in the hosts' order
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
    /// One line for each host
    #[arg(short, long)]
    pub(crate) one_line: bool,
    /// Also write each host's result, as JSON, into a file of its name in this folder
    #[arg(short, long, value_name = "DIR")]
    pub(crate) tree: Option<PathBuf>,
    /// Print hosts with the same output and exit code together, at the end
    #[arg(long, conflicts_with = "one_line")]
    pub(crate) group_identical: bool,
}

impl ReportStyle {
    fn is_asked_for(&self) -> bool {
        self.format != ReportFormat::Text || self.one_line || self.tree.is_some() || self.group_identical
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Text,
    Json,
    Jsonl,
    Junit,
}

/// Which hosts of the last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rerun {
    /// Those that failed, were unreachable, were given up or never begun
    Failed,
    /// Those where all went well
    Ok,
    /// All of them
    All,
}

/// Join the records of runs into one report
///
/// Reads what `--record FILE` and `--format jsonl` have written, of the shards of a fleet for example, and prints one report
/// about all hosts, in their order. A host that is in several files counts as the last of them says.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  winrm run -i prod.yml --shard 1/2 --record 1.jsonl web -- hostname    # on one machine
  winrm run -i prod.yml --shard 2/2 --record 2.jsonl web -- hostname    # on another
  winrm report 1.jsonl 2.jsonl
  winrm report --format junit *.jsonl > report.xml

Exit status: 0 when all went well, 2 when a host has failed or was not worked on, 4 when one was unreachable, 1 for usage, and \
for records that can't be read.")]
pub(crate) struct ReportArguments {
    #[command(flatten)]
    pub(crate) style: ReportStyle,
    /// The records; - is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

fn forks(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("it is no number from 1 on".to_owned()),
        Ok(forks) => Ok(forks),
    }
}

fn batch(text: &str) -> Result<Amount, String> {
    match text.parse::<Amount>() {
        Ok(Amount::Count(0)) => Err("a batch has one host at the least".to_owned()),
        Ok(amount) => Ok(amount),
        Err(error) => Err(error.to_string()),
    }
}

/// An exit code as people write it: 3010, -1, 0xC000013A.
fn exit_code(text: &str) -> Result<u32, String> {
    let no_code = || "it is no exit code: 0 to 4294967295, -2147483648 to -1, or 0x… in hexadecimal".to_owned();
    let text = text.trim();
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(digits, 16).map_err(|_| no_code());
    }
    let code: i64 = text.parse().map_err(|_| no_code())?;
    u32::try_from(code)
        .or_else(|_| i32::try_from(code).map(i32::cast_unsigned))
        .map_err(|_| no_code())
}

/// A number of bytes: 4096, 512K, 64M, 2G.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "it is no number of bytes, such as 4096, 512K, 64M or 2G".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "it is too much".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_read_as_people_write_them() {
        for (text, code) in [
            ("0", 0),
            ("3010", 3010),
            ("-1", u32::MAX),
            ("4294967295", u32::MAX),
            ("0xC000013A", 0xC000_013A),
            (" 5", 5),
        ] {
            assert_eq!(exit_code(text), Ok(code), "{text}");
        }
        for bad in ["", "x", "4294967296", "-2147483649", "0x", "0x1FFFFFFFF", "1.5"] {
            assert!(exit_code(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_letters() {
        assert_eq!(
            ["1", "2K", "64M", "1g"].map(|text| bytes(text).unwrap()),
            [1, 2048, 64 << 20, 1 << 30]
        );
        for bad in ["", "M", "-1", "1T", "99999999999G"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
