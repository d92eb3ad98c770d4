//! The text of a script as it is sent, and its arguments.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The scripts that stand around the caller's own: each in a file, so that they can be checked as what they are.
const RUN: &str = include_str!("run.ps1");
const CALL: &str = include_str!("call.ps1");
const CALL_WITH_INPUT: &str = include_str!("call_with_input.ps1");
const OBJECTS: &str = include_str!("objects.ps1");
const BOOTSTRAP: &str = include_str!("bootstrap.ps1");

/// What the readable names in those scripts become.
const SHORTER: &[(&str, &str)] = &[
    ("$WinRM.Text", "$W.t"),
    ("$WinRM.Tree", "$W.e"),
    ("$WinRM.Block", "$W.b"),
    ("$WinRM.Last", "$W.l"),
    ("$WinRM.Lines", "$W.s"),
    ("$WinRM.Line", "$W.i"),
    ("$WinRM.At", "$W.a"),
    ("$WinRM", "$W"),
    ("System.", ""),
];

/// The longest command line that `cmd` takes is 8,191 characters; a few are for what hosts put in front.
const LINE: usize = 8_000;

/// Everything that makes the text of one call.
#[derive(Debug, Clone, Default)]
pub(super) struct Script {
    pub(super) text: String,
    /// The arguments as they stand in the call.
    pub(super) arguments: String,
    /// Whether the caller gives standard input.
    pub(super) has_input: bool,
    /// How deep output is described as objects; as text if `None`.
    pub(super) objects: Option<u32>,
    /// Whether progress is left out.
    pub(super) no_progress: bool,
}

/// How a script goes to the host.
pub(super) struct Sent {
    /// The value of `-EncodedCommand`.
    pub(super) encoded: String,
    /// What standard input begins with.
    pub(super) prefix: Option<Vec<u8>>,
}

impl Script {
    /// `options` is the length of the rest of the command line.
    pub(super) fn sent(&self, options: usize) -> Sent {
        let text = self.wrapped();
        let encoded = encoded(&text);
        if options + encoded.len() <= LINE {
            return Sent { encoded, prefix: None };
        }
        let mut prefix = format!("{:08x}", text.len()).into_bytes();
        prefix.extend_from_slice(text.as_bytes());
        Sent {
            encoded: self::encoded(&shortened(BOOTSTRAP)),
            prefix: Some(prefix),
        }
    }

    fn wrapped(&self) -> String {
        let lower = self.text.to_ascii_lowercase();
        let wants_lines = self.has_input && ["$input", "${input}", "process"].iter().any(|word| lower.contains(word));
        let mut call = shortened(if wants_lines { CALL_WITH_INPUT } else { CALL });
        if let Some(depth) = self.objects {
            let objects = shortened(OBJECTS).replace("'DEPTH'", &depth.to_string());
            call = format!("{} | {}", call.trim_end(), objects);
        }
        let preferences = if self.no_progress {
            "$ProgressPreference = 'SilentlyContinue'\n"
        } else {
            ""
        };
        // What comes from the caller is filled in last: its words are not looked at again.
        let template = shortened(RUN).replace("PREFERENCES\n", preferences).replace("CALL\n", &call);
        let template = template.replace("ARGUMENTS", "\u{0}");
        let mut text = String::with_capacity(template.len() + self.text.len());
        let (before, after) = template.split_once("'SCRIPT'").unwrap_or((&template, ""));
        text.push_str(&before.replace('\u{0}', &self.arguments));
        text.push_str(&literal(&self.text));
        text.push_str(&after.replace('\u{0}', &self.arguments));
        text
    }
}

fn shortened(script: &str) -> String {
    let mut text = String::with_capacity(script.len());
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        text.push_str(line);
        text.push('\n');
    }
    for (long, short) in SHORTER {
        text = text.replace(long, short);
    }
    text
}

/// A script of ours as it is sent: comments are for those who read it here.
pub(crate) fn without_comments(script: &str) -> String {
    shortened(script)
}

/// What runs a script that comes on standard input: see bootstrap.ps1.
pub(crate) fn bootstrap_line() -> String {
    let encoded = encoded(&shortened(BOOTSTRAP));
    format!("powershell -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand {encoded}")
}

/// UTF-16LE in base64.
fn encoded(text: &str) -> String {
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    STANDARD.encode(bytes)
}

/// In single quotes, where PowerShell reads everything as it is. It takes typographic quotation marks for quotation marks, too.
pub(crate) fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for character in text.chars() {
        if matches!(character, '\'' | '\u{2018}'..='\u{201B}') {
            literal.push(character);
        }
        literal.push(character);
    }
    literal.push('\'');
    literal
}

/// A word of a command line as PowerShell's own: `-Name` names a parameter, `-Name:value` gives it a value, and all else is a value.
pub(super) fn word(word: &str) -> String {
    let Some(name) = word.strip_prefix('-') else {
        return literal(word);
    };
    let (name, value) = match name.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    };
    let starts = name.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_');
    if !starts || !name.chars().all(|character| character.is_alphanumeric() || character == '_') {
        return literal(word);
    }
    match value {
        None => format!("-{name}"),
        // What `powershell -File` does: switches are given values so.
        Some(value)
            if ["$true", "$false", "$null"]
                .iter()
                .any(|constant| value.eq_ignore_ascii_case(constant)) =>
        {
            format!("-{name}:{value}")
        }
        Some(value) => format!("-{name}:{}", literal(value)),
    }
}

/// Error output as one line for people; of CLIXML, its texts.
pub(crate) fn plain(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let text = text.trim();
    let words: String = match text.strip_prefix("#< CLIXML") {
        None => text.to_owned(),
        Some(xml) => xml
            .split("<S S=\"Error\">")
            .skip(1)
            .filter_map(|rest| rest.split("</S>").next())
            .collect::<String>()
            .replace("_x000D__x000A_", " ")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&amp;", "&"),
    };
    let words: Vec<&str> = words.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(600).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parameters_or_values() {
        for (given, written) in [
            ("-Name", "-Name"),
            ("-5", "'-5'"),
            ("-1x", "'-1x'"),
            ("--", "'--'"),
            ("-", "'-'"),
            ("-a b", "'-a b'"),
            ("-Force:$TRUE", "-Force:$TRUE"),
            ("-Name:it's $x", "-Name:'it''s $x'"),
            ("a 'b' \"c\" $d\n", "'a ''b'' \"c\" $d\n'"),
            ("\u{2019}", "'\u{2019}\u{2019}'"),
            ("", "''"),
        ] {
            assert_eq!(word(given), written);
        }
    }

    #[test]
    fn scripts_are_sent_on_the_command_line_while_they_fit() {
        let script = |length| Script {
            text: "x".repeat(length),
            ..Script::default()
        };
        let short = script(1_200).sent(100);
        assert!(short.prefix.is_none() && short.encoded.len() <= LINE, "{}", short.encoded.len());
        let long = script(40_000).sent(100);
        let prefix = long.prefix.unwrap();
        assert_eq!(format!("{:08x}", prefix.len() - 8).as_bytes(), &prefix[..8]);
        assert!(long.encoded.len() < 3_000);
    }

    #[test]
    fn words_of_the_template_in_a_script_stay_what_they_are() {
        let script = Script {
            text: "ARGUMENTS CALL 'SCRIPT' PREFERENCES System. $WinRM".to_owned(),
            arguments: "'ARGUMENTS \u{1} SCRIPT'".to_owned(),
            ..Script::default()
        };
        let wrapped = script.wrapped();
        assert!(
            wrapped.contains("'ARGUMENTS CALL ''SCRIPT'' PREFERENCES System. $WinRM'"),
            "{wrapped}"
        );
        assert!(wrapped.contains(". $W.b 'ARGUMENTS \u{1} SCRIPT'\n"), "{wrapped}");
        assert!(!wrapped.contains('\u{0}'));
    }

    #[test]
    fn error_output_is_read_for_people() {
        assert_eq!(plain(b"  'powershell' is not\r\nrecognized "), "'powershell' is not recognized");
        let xml = "#< CLIXML\r\n<Objs><S S=\"Error\">a &lt;b&gt;_x000D__x000A_</S><S S=\"Error\">c</S></Objs>";
        assert_eq!(plain(xml.as_bytes()), "a <b> c");
    }
}
