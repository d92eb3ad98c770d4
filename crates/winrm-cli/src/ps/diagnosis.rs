//! Why PowerShell did not do what was asked, as far as its words tell.

use winrm::Record;

use crate::printer;

/// The beginning of what was said outside of PowerShell's own streams, and whether PowerShell has said anything.
#[derive(Default)]
pub(super) struct Diagnosis {
    said: String,
    spoke: bool,
}

/// What has gone wrong, and what to do about it.
pub(super) struct Found {
    pub(super) what: String,
    pub(super) hint: &'static str,
    /// Whether PowerShell has begun with the script.
    pub(super) has_begun: bool,
}

/// How much of it is looked at.
const ENOUGH: usize = 4_096;

impl Diagnosis {
    pub(super) fn hear(&mut self, record: &Record) {
        match record {
            Record::Text(bytes) if self.said.len() < ENOUGH => {
                self.said.push_str(&String::from_utf8_lossy(&bytes[..bytes.len().min(ENOUGH)]))
            }
            Record::Error(text) => {
                self.spoke = true;
                if self.said.len() < ENOUGH {
                    self.said.push_str(text);
                }
            }
            _ => self.spoke = true,
        }
    }

    /// Says what to do after a script that has failed.
    pub(super) fn tell(&self, code: Option<u32>, engine: &str) {
        if let Some(found) = self.found(code, engine) {
            printer::error(&found.what, Some(found.hint));
        }
    }

    pub(super) fn found(&self, code: Option<u32>, engine: &str) -> Option<Found> {
        if code == Some(0) {
            return None;
        }
        let said = self.said.to_lowercase();
        let named = [format!("'{engine}'"), format!("\"{engine}\"")]
            .iter()
            .any(|name| said.contains(&name.to_lowercase()))
            // A Bourne shell, where the host is the embedded service.
            || code == Some(127) && said.contains(&engine.to_lowercase());
        // cmd's words depend on the host's language; the quoted name stands in all of them.
        if !self.spoke && matches!(code, Some(1 | 9009 | 127)) && (named || said.contains("cannot find the path specified")) {
            return Some(Found {
                what: format!("the host has no PowerShell called {engine:?}"),
                hint: "--engine takes powershell, pwsh or a path such as 'C:\\Program Files\\PowerShell\\7\\pwsh.exe'",
                has_begun: false,
            });
        }
        let some = |what: &str, hint| {
            Some(Found {
                what: what.to_owned(),
                hint,
                has_begun: true,
            })
        };
        if said.contains("blocked by group policy") || said.contains("blocked by your system administrator") {
            return some(
                "the host's policy (AppLocker, WDAC or a restriction of software) forbids PowerShell for this account",
                "use an account that may, have the policy changed, or use `winrm run`",
            );
        }
        if said.contains("constrainedlanguage")
            || said.contains("only on core types in this language mode")
            || said.contains("constrained language")
        {
            return some(
                "PowerShell is in Constrained Language mode for this account, so that most methods and types are forbidden",
                "use an account that the host's policy (AppLocker, WDAC) leaves alone",
            );
        }
        if said.contains("running scripts is disabled on this system") || said.contains("unauthorizedaccess,") && said.contains("execution")
        {
            return some(
                "the execution policy forbids a script file or module that this script uses",
                "leave --execution-policy at Bypass; where a group policy sets it, only signed scripts run",
            );
        }
        if said.contains("noninteractive mode") {
            return some(
                "the script asks a question, and nobody is there to answer",
                "give the value as a parameter, or -Confirm:$false or -Force to the command that asks",
            );
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(said: &str, is_record: bool, code: u32) -> Option<String> {
        let mut diagnosis = Diagnosis::default();
        diagnosis.hear(&if is_record {
            Record::Error(said.to_owned())
        } else {
            Record::Text(said.into())
        });
        diagnosis.found(Some(code), "pwsh").map(|found| found.what)
    }

    #[test]
    fn known_troubles_are_recognised() {
        let missing = "the host has no PowerShell called \"pwsh\"";
        for words in [
            "'pwsh' is not recognized as an internal or external command,\r\n",
            "Der Befehl \"pwsh\" ist entweder falsch geschrieben oder\r\nkonnte nicht gefunden werden.\r\n",
        ] {
            assert_eq!(found(words, false, 1).as_deref(), Some(missing));
        }
        // A script's own words are no trouble of the host.
        assert_eq!(found("'pwsh' is not recognized", true, 1), None);
        assert_eq!(found("'pwsh' is not recognized", false, 0), None);
        assert!(
            found("This program is blocked by group policy.", false, 1)
                .unwrap()
                .contains("policy")
        );
        assert!(
            found(
                "Cannot invoke method. Method invocation is supported only on core types in this language mode.",
                true,
                1
            )
            .unwrap()
            .contains("Constrained Language")
        );
        assert!(
            found("PowerShell is in NonInteractive mode.", true, 1)
                .unwrap()
                .contains("question")
        );
        assert_eq!(found("anything else", true, 1), None);
    }
}
