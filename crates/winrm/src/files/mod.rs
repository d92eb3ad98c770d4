//! Files and folders, to the host and from it.
//!
//! A small PowerShell script, the agent, is started on the host once for a whole transfer, and speaks
//! [frames](winrm_proto::copy) over its standard input and output. What arrives is written to a part beside its target, compared
//! by SHA-256, and then put in the target's place at once.

mod agent;
mod certutil;
mod cmd_line;
mod download;
mod event;
mod fetch;
mod filter;
mod hash;
mod host;
mod host_path;
mod local;
mod options;
mod place;
mod pump;
mod rate;
mod store;
mod time;
mod tree;
mod upload;

pub use download::Download;
pub use event::{CopyEvent, CopySummary, FileError, FileOutcome, FileReport};
pub use filter::InvalidPattern;
pub use upload::Upload;
pub use winrm_proto::copy::FailureCode;

/// How many bytes of a file are one frame, before they are compressed.
const BLOCK: usize = 512 * 1024;

/// What a part's name ends in.
const PART: &str = ".winrm-part";

/// The name of the part of a file: its own with an end of its own, cut where it would be too long for a file system.
fn part_name(name: &str) -> String {
    const LONGEST: usize = 255;
    if name.len() + PART.len() <= LONGEST {
        return format!("{name}{PART}");
    }
    let digest = hash::hex(&openssl::sha::sha256(name.as_bytes()));
    let end = name.floor_char_boundary(LONGEST - PART.len() - 17);
    format!("{}.{}{PART}", &name[..end], &digest[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_names_that_fit() {
        assert_eq!(part_name("a.txt"), "a.txt.winrm-part");
        let (one, other) = ("ä".repeat(127), format!("{}b", "ä".repeat(126)));
        assert!(part_name(&one).len() <= 255 && part_name(&one).ends_with(PART));
        assert_ne!(part_name(&one), part_name(&other));
    }
}
