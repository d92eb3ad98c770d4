//! The arguments of `put` and `get`.

use std::path::PathBuf;

use clap::Args;

use super::{ConnectionArguments, Format, InventoryArguments};

/// Copy files and folders to a host
///
/// One PowerShell on the host serves the whole copy, however many files. Bytes are compressed where that helps. Each file is written
/// to a part beside it, compared by SHA-256, and then replaced at once: what is cut leaves the old file, and a part
/// (NAME.winrm-part) with which the next try goes on. Only what differs is sent: files of the same size and time of change stay.
#[derive(Debug, Args)]
#[command(
    override_usage = "winrm put [OPTIONS] TARGET SRC... DEST",
    after_help = "\
Examples:
  winrm put web1 app.zip 'C:\\Temp\\'                        # into a folder
  winrm put web1 app.zip 'C:\\Temp\\new.zip'                 # under another name
  winrm put web1 site 'C:\\inetpub\\site' --delete          # a mirror; again, and only what differs is sent
  winrm put web1 a.txt '*.log' '~\\logs\\' --mkdir
  winrm put -i hosts.yml all app.zip 'C:\\Temp\\'           # to many hosts
  pg_dump db | winrm put web1 - '%TEMP%\\db.sql'

SRC is a file, a folder with all below it, a pattern with * ? [a-z] **, or - for standard input.
DEST is a path of the host; ~ and %NAME% stand for what they mean there. As with scp, a DEST that is a folder, or ends in a \
separator, takes each SRC under its own name; with several SRC it has to be one. Any other DEST is the copy itself. So that a \
repeated copy does the same again, a folder DEST that holds most of a folder SRC already is taken for the copy of it, and not \
for what SRC goes into.
Where the host's PowerShell is missing, blocked, or restricted by a policy, files of up to 4 MiB go one by one by certutil and
cmd, compared by SHA-256 as well, without their times; folders and wildcards don't. --engine stands for that one PowerShell only.
Links to files are copied as files; links to folders are left out, and said. Alternate data streams are not copied.
--include and --exclude: * and ? stay within a name, ** does not. A pattern with a slash is for the path below SRC, one \
without for a name at any depth. With --include only such files are copied; --exclude takes away from that.

Exit status: 0 when all went well, 2 when a file could not be copied (the others are), 4 when a host can't be reached, \
1 for usage, 130 after Ctrl-C."
)]
pub(crate) struct PutArguments {
    /// The host: [USER@]HOST[:PORT] or a URL; several with commas. With -i a pattern: names, groups, wildcards, a:b, a:&b, a:!b
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// What to copy to the host; and last, where to
    #[arg(value_names = ["SRC", "DEST"], num_args = 2.., required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) inventory: InventoryArguments,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    #[command(flatten)]
    pub(crate) copy: CopyArguments,
}

/// Copy files and folders from a host
///
/// The same as put, the other way round. Nothing is written outside DEST, whatever the host calls its files.
#[derive(Debug, Args)]
#[command(
    override_usage = "winrm get [OPTIONS] TARGET SRC... DEST",
    after_help = "\
Examples:
  winrm get web1 'C:\\logs\\app.log' .                       # into this folder
  winrm get web1 'C:\\logs\\*.log' logs/ --mkdir
  winrm get web1 'C:\\inetpub\\site' backup --delete         # a mirror; again, and only what differs is fetched
  winrm get -i hosts.yml web 'C:\\logs' logs/             # each host's files in logs/HOST/
  winrm get web1 '%TEMP%\\dump.sql' - | less

SRC is a file or folder of the host, or a pattern with * ? [a-z]; ~ and %NAME% stand for what they mean there.
DEST is a path here, or - for standard output. As with scp, a DEST that is a folder, or ends in a slash, takes each SRC under \
its own name; with several SRC it has to be one. Any other DEST is the copy itself. So that a repeated copy does the same \
again, a folder DEST that holds most of a folder SRC already is taken for the copy of it.
Links to files are copied as files; links to folders are left out, and said. Inside DEST no link is followed.
Of several hosts, each one's files go into DEST/HOST/.
--include and --exclude: see put.

Exit status: as put."
)]
pub(crate) struct GetArguments {
    /// The host: [USER@]HOST[:PORT] or a URL; several with commas. With -i a pattern: names, groups, wildcards, a:b, a:&b, a:!b
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// What to copy from the host; and last, where to
    #[arg(value_names = ["SRC", "DEST"], num_args = 2.., required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) inventory: InventoryArguments,
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    #[command(flatten)]
    pub(crate) copy: CopyArguments,
}

/// How to copy.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Copy")]
pub(crate) struct CopyArguments {
    /// Copy only files that match; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) include: Vec<String>,
    /// Leave out files and folders that match; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Remove from a folder DEST what the folder SRC doesn't have
    #[arg(long)]
    pub(crate) delete: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Compare files of the same size by their SHA-256 instead of their time
    #[arg(long)]
    pub(crate) checksum: bool,
    /// How many hosts to copy to or from at once
    #[arg(short, long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) forks: u16,
    /// Send all bytes as they are
    #[arg(long)]
    pub(crate) no_compress: bool,
    /// How many PowerShells copy at once, each its own files
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) streams: u8,
    /// The most bytes in a second, such as 500K, 2M
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) limit_rate: Option<u64>,
    /// Take over times of access and of folders, and whether files are read-only; replace files that are (times of change
    /// are always taken over)
    #[arg(long)]
    pub(crate) preserve: bool,
    /// Keep files that are replaced, with the time of the copy and .bak behind their names
    #[arg(long)]
    pub(crate) backup: bool,
    /// Make the folders that DEST needs
    #[arg(long)]
    pub(crate) mkdir: bool,
    /// The PowerShell on the host: a name or a path
    #[arg(long, value_name = "PROGRAM", default_value = "powershell")]
    pub(crate) engine: String,
    /// How to print the result: as text, or as JSON with each file and its hash
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// A number of bytes, with K, M or G (of 1,000, or with an i behind, 1,024) if wished.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "it is not a number of bytes, such as 500K or 2M".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "ki" | "kib" => 1 << 10,
        "mi" | "mib" => 1 << 20,
        "gi" | "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let bytes = number * f64::from(unit);
    if (1.0..1e18).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_units() {
        assert_eq!(
            (size("500K"), size("1.5mb"), size("2MiB"), size("7")),
            (Ok(500_000), Ok(1_500_000), Ok(2 << 20), Ok(7))
        );
        for bad in ["", "0", "-1", "1X", "K", "1e400", "NaN"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
