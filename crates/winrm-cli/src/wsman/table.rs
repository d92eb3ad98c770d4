//! Instances in columns.

use winrm::{Instance, Property, Resource};

use super::show::{grouped, plain};
use crate::printer;

/// The columns of classes that people list, where nothing else is asked for.
const COLUMNS: &[(&str, &[&str])] = &[
    (
        "Win32_Process",
        &["ProcessId", "ParentProcessId", "Name", "WorkingSetSize", "CommandLine"],
    ),
    ("Win32_Service", &["Name", "State", "StartMode", "StartName", "DisplayName"]),
    ("Win32_OperatingSystem", &["CSName", "Caption", "Version", "LastBootUpTime"]),
    ("Win32_LogicalDisk", &["DeviceID", "VolumeName", "FileSystem", "Size", "FreeSpace"]),
    ("Win32_UserAccount", &["Name", "Domain", "SID", "Disabled"]),
    (
        "Win32_QuickFixEngineering",
        &["HotFixID", "Description", "InstalledOn", "InstalledBy"],
    ),
    ("Win32_Product", &["Name", "Version", "Vendor"]),
    (
        "Listener",
        &[
            "Address",
            "Transport",
            "Port",
            "Enabled",
            "Hostname",
            "CertificateThumbprint",
            "ListeningOn",
        ],
    ),
    ("certmapping", &["Issuer", "Subject", "URI", "UserName", "Enabled"]),
    ("Shell", &["ShellId", "Owner", "ClientIP", "ProcessId", "State", "ShellInactivity"]),
];

/// The column of references.
const REFERENCE: &str = "Reference";

/// So many columns are shown of a class that isn't known.
const MOST: usize = 8;

/// The widest that a column gets, in characters, but for the last.
const WIDEST: usize = 48;

/// Rows that become columns when all of them are there.
#[derive(Debug, Default)]
pub(super) struct Table {
    wanted: Option<Vec<String>>,
    class: String,
    rows: Vec<Vec<(String, String)>>,
}

impl Table {
    pub(super) fn new(wanted: Option<Vec<String>>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// One instance, a property a line; those of instances within are named by their path.
    pub(super) fn of_properties(instance: &Instance) -> Self {
        let mut table = Self::default();
        let mut lines = Vec::new();
        flatten(instance, "", &mut lines);
        for (name, value) in lines {
            table.rows.push(vec![("Property".to_owned(), name), ("Value".to_owned(), value)]);
        }
        table
    }

    pub(super) fn add(&mut self, instance: Option<&Instance>, reference: Option<&Resource>) {
        let mut row = Vec::new();
        if let Some(instance) = instance {
            flatten(instance, "", &mut row);
            self.class.clone_from(&instance.name);
        }
        if let Some(reference) = reference {
            row.push((REFERENCE.to_owned(), plain(&reference.to_string())));
        }
        self.rows.push(row);
    }

    pub(super) fn print(&self) {
        let columns = self.columns();
        if self.rows.is_empty() || columns.is_empty() {
            return;
        }
        let cell = |row: &[(String, String)], column: &str| {
            let found = row.iter().find(|(name, _)| name.eq_ignore_ascii_case(column));
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let mut lines = vec![columns.clone()];
        lines.extend(self.rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()));
        let width = |index: usize| lines.iter().map(|line| line[index].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns.len()).map(|index| width(index).min(WIDEST)).collect();
        for line in &lines {
            let mut text = String::new();
            for (index, value) in line.iter().enumerate() {
                if index + 1 == line.len() {
                    text.push_str(value);
                } else {
                    let width = widths[index];
                    text.push_str(&format!("{:width$}  ", shortened(value, width)));
                }
            }
            printer::line(text.trim_end());
        }
    }

    fn columns(&self) -> Vec<String> {
        if let Some(wanted) = &self.wanted {
            return wanted.clone();
        }
        let has_reference = self.rows.iter().flatten().any(|(name, _)| name == REFERENCE);
        let reference = has_reference.then(|| REFERENCE.to_owned());
        let known = COLUMNS.iter().find(|(class, _)| class.eq_ignore_ascii_case(&self.class));
        if let Some((_, columns)) = known {
            return columns.iter().map(|column| (*column).to_owned()).chain(reference).collect();
        }
        // Those that have a value anywhere, in their order.
        let mut columns: Vec<String> = Vec::new();
        for (name, value) in self.rows.iter().flatten() {
            if !value.is_empty() && name != REFERENCE && columns.len() < MOST && !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        columns.into_iter().chain(reference).collect()
    }
}

fn shortened(value: &str, width: usize) -> String {
    if value.chars().count() <= width {
        return value.to_owned();
    }
    value.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn flatten(instance: &Instance, prefix: &str, into: &mut Vec<(String, String)>) {
    for (name, values) in grouped(instance) {
        let name = format!("{prefix}{}", plain(name));
        let mut texts = Vec::new();
        for value in values {
            match value {
                Property::Instance(inner) => flatten(inner, &format!("{name}/"), into),
                Property::Reference(resource) => texts.push(plain(&resource.to_string())),
                other => texts.extend(other.text().map(plain)),
            }
        }
        if !texts.is_empty() {
            into.push((name, texts.join(", ")));
        }
    }
}
