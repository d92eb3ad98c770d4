//! A host's result as records and reports have it.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use winrm::MayHaveRun;
use winrm_fleet::{Captured, HostResult, Outcome, Verdict};

use super::json;
use super::report::copy_lines;
use crate::args::ObjectFormat;

/// What became of one host.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) host: String,
    /// The host's place among those that the pattern named, from 0.
    pub(super) index: usize,
    pub(super) verdict: Verdict,
    pub(super) exit_code: Option<u32>,
    pub(super) stdout: Captured,
    pub(super) stderr: Captured,
    /// Whether `stdout` is a list of objects in JSON, and how people want to read it.
    pub(super) objects: Option<ObjectFormat>,
    pub(super) error: Option<String>,
    pub(super) hint: Option<String>,
    /// Whether the command may have run, where it did not run to its end.
    pub(super) may_have_run: Option<MayHaveRun>,
    pub(super) endpoint: Option<String>,
    pub(super) user: Option<String>,
    pub(super) transport: Option<String>,
    pub(super) started: Option<SystemTime>,
    pub(super) duration: Duration,
    /// What a ping found: vendor, version, protocol, times in milliseconds.
    pub(super) ping: Option<Map<String, Value>>,
    /// The restart that a command was lost to: when the host was started before and after, and how often.
    pub(super) restarted: Option<Map<String, Value>>,
}

impl Entry {
    pub(super) fn new(result: HostResult, index: usize, objects: Option<ObjectFormat>) -> Self {
        let verdict = result.verdict();
        let mut entry = Self {
            host: result.host.to_string(),
            index,
            verdict,
            exit_code: None,
            stdout: result.stdout,
            stderr: result.stderr,
            objects,
            error: None,
            hint: None,
            may_have_run: None,
            endpoint: None,
            user: None,
            transport: None,
            started: result.started,
            duration: result.duration,
            ping: None,
            restarted: None,
        };
        if let Some(via) = result.via {
            entry.endpoint = Some(via.endpoint);
            entry.user = via.user;
            entry.transport = Some(via.transport.to_string());
        }
        match result.outcome {
            Outcome::Ended { exit_code, .. } => {
                entry.exit_code = exit_code;
                if exit_code.is_none() {
                    entry.error = Some("the host told no exit code".to_owned());
                }
                if let Some(explanation) = result.explanation {
                    entry.error = Some(explanation.to_string());
                    entry.hint = explanation.hint().map(str::to_owned);
                }
            }
            Outcome::Answered(ping) => {
                let milliseconds = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
                let facts = json!({
                    "vendor": ping.identity.vendor,
                    "version": ping.identity.version,
                    "protocol_version": ping.identity.protocol_version,
                    "connect_ms": milliseconds(ping.connect),
                    "round_trip_ms": milliseconds(ping.round_trip),
                });
                if let Value::Object(facts) = facts {
                    entry.ping = Some(facts);
                }
            }
            Outcome::Restarted(restarted) => {
                let facts = json!({
                    "before": restarted.before.to_string(),
                    "after": restarted.after.to_string(),
                    "starts": restarted.starts,
                });
                if let Value::Object(facts) = facts {
                    entry.restarted = Some(facts);
                }
            }
            Outcome::Failed(trouble) | Outcome::Unreachable(trouble) => {
                entry.error = Some(trouble.to_string());
                entry.hint = trouble.hint().map(str::to_owned);
                entry.may_have_run = Some(trouble.may_have_run());
            }
            Outcome::Cancelled(may_have_run) => {
                entry.error = Some("given up, since the run was stopped".to_owned());
                entry.may_have_run = Some(may_have_run);
            }
            _ => entry.may_have_run = Some(MayHaveRun::No),
        }
        entry
    }

    /// A host that a run was to work on, and that its record says nothing about.
    pub(super) fn missing(host: String, index: usize) -> Self {
        Self {
            host,
            index,
            verdict: Verdict::NotStarted,
            exit_code: None,
            stdout: Captured::default(),
            stderr: Captured::default(),
            objects: None,
            error: Some("the record ends before this host".to_owned()),
            hint: None,
            may_have_run: Some(MayHaveRun::Unknown),
            endpoint: None,
            user: None,
            transport: None,
            started: None,
            duration: Duration::ZERO,
            ping: None,
            restarted: None,
        }
    }

    /// The exit code as Windows shows it: -1, not 4294967295.
    pub(super) fn shown_code(&self) -> Option<i32> {
        self.exit_code.map(u32::cast_signed)
    }

    /// Writes the entry as one JSON object without line breaks.
    pub(super) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let started = self.started.map(|time| humantime::format_rfc3339_millis(time).to_string());
        let text = |text: &Option<String>| text.as_deref().map(Value::from);
        let head = [
            ("host", Some(self.host.as_str().into())),
            ("index", Some(self.index.into())),
            ("status", Some(self.verdict.to_string().into())),
            ("rc", self.shown_code().map(Value::from)),
            ("error", text(&self.error)),
            ("hint", text(&self.hint)),
            ("may_have_run", self.may_have_run.map(|may| may_have_run_name(may).into())),
            ("ping", self.ping.clone().map(Value::Object)),
            ("restarted", self.restarted.clone().map(Value::Object)),
            ("endpoint", text(&self.endpoint)),
            ("user", text(&self.user)),
            ("transport", text(&self.transport)),
            ("started", text(&started)),
            ("seconds", Some(((self.duration.as_secs_f64() * 1e3).round() / 1e3).into())),
        ];
        let mut before = '{';
        for (name, value) in head {
            if let Some(value) = value {
                write!(out, "{before}\"{name}\":{value}")?;
                before = ',';
            }
        }
        // Output of any length is copied, not collected.
        if self.ping.is_none() && self.verdict != Verdict::NotStarted {
            let mut texts = vec![("stdout", &self.stdout), ("stderr", &self.stderr)];
            if self.objects.is_some() {
                out.write_all(b",\"objects\":")?;
                self.write_objects(out)?;
                texts.remove(0);
            }
            for (name, captured) in texts {
                write!(out, ",\"{name}\":")?;
                let exact = json::write_text(out, &mut captured.reader()?)?;
                if !exact {
                    write!(out, ",\"{name}_base64\":\"")?;
                    json::write_base64(out, &mut captured.reader()?)?;
                    out.write_all(b"\"")?;
                }
            }
        }
        out.write_all(b"}")
    }

    /// The list of objects as it is kept; an empty one where nothing was begun.
    fn write_objects(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.stdout.is_empty() {
            return out.write_all(b"[]");
        }
        io::copy(&mut self.stdout.reader()?, out).map(drop)
    }

    /// Writes standard output as people read it.
    pub(super) fn write_output(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.objects {
            Some(format) if !self.stdout.is_empty() => crate::ps::print_list(format, self.stdout.reader()?, out),
            _ => copy_lines(&mut self.stdout.reader()?, out),
        }
    }

    /// Reads what [`write_json`](Self::write_json) wrote.
    pub(super) fn from_json(mut value: Map<String, Value>) -> Result<Self, String> {
        let objects = value.remove("objects").filter(Value::is_array);
        let mut text = |name: &str| match value.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let host = text("host").ok_or("\"host\" is missing")?;
        let status = text("status").ok_or("\"status\" is missing")?;
        let verdict = Verdict::from_name(&status).ok_or_else(|| format!("the status {status:?} is unknown"))?;
        let mut captured = |name: &str| {
            let lossy = text(name).unwrap_or_default();
            match text(&format!("{name}_base64")) {
                None => Ok(Captured::from(lossy.into_bytes())),
                Some(base64) => openssl::base64::decode_block(&base64)
                    .map(Captured::from)
                    .map_err(|_| format!("\"{name}_base64\" can't be read")),
            }
        };
        let (mut stdout, stderr) = (captured("stdout")?, captured("stderr")?);
        if let Some(objects) = &objects {
            stdout = Captured::from(objects.to_string().into_bytes());
        }
        Ok(Self {
            host,
            verdict,
            stdout,
            stderr,
            objects: objects.map(|_| ObjectFormat::Json),
            error: text("error"),
            hint: text("hint"),
            may_have_run: text("may_have_run").and_then(|name| may_have_run_of(&name)),
            endpoint: text("endpoint"),
            user: text("user"),
            transport: text("transport"),
            started: text("started").and_then(|text| humantime::parse_rfc3339(&text).ok()),
            index: value.get("index").and_then(Value::as_u64).map_or(0, |index| index as usize),
            exit_code: value
                .get("rc")
                .and_then(Value::as_i64)
                .and_then(|code| i32::try_from(code).ok())
                .map(i32::cast_unsigned),
            duration: value
                .get("seconds")
                .and_then(Value::as_f64)
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .unwrap_or_default(),
            ping: facts_of(value.remove("ping")),
            restarted: facts_of(value.remove("restarted")),
        })
    }
}

fn facts_of(value: Option<Value>) -> Option<Map<String, Value>> {
    match value {
        Some(Value::Object(facts)) => Some(facts),
        _ => None,
    }
}

const MAY_HAVE_RUN: [(MayHaveRun, &str); 3] = [(MayHaveRun::No, "no"), (MayHaveRun::Unknown, "unknown"), (MayHaveRun::Yes, "yes")];

fn may_have_run_name(may: MayHaveRun) -> &'static str {
    MAY_HAVE_RUN.iter().find(|(known, _)| *known == may).map_or("", |(_, name)| name)
}

fn may_have_run_of(name: &str) -> Option<MayHaveRun> {
    MAY_HAVE_RUN.iter().find(|(_, known)| *known == name).map(|(may, _)| *may)
}
